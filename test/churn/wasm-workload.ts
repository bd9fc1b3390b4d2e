import type { OciImage } from "@kuasar/install/oci-image";
import { CREATE, openFile, STDOUT, sleep, TEXT, write } from "@kuasar/install/wasi-calls";
import {
  add,
  type Code,
  call,
  drop,
  equal,
  exit,
  i32,
  i64,
  load,
  loadByte,
  long,
  loop,
  multiply,
  multiplyLong,
  subtract,
  wasmBinary,
  when,
} from "@kuasar/install/wasm-binary";
import type { Workload } from "./workload.ts";

const SIGTERM_STATUS = 143;
const reference = "docker.io/library/churn:kuasar";

/**
 * Modules that differ in nothing but what they are padded with. They do not all have room at once among the compiled
 * ones, so that compiling goes on all the time.
 */
const VARIANTS = 8;
const PADDING_BYTES = 200_000;
export const compiledModulesMb = 1;

/** A module that does what its arguments say: an action, milliseconds, an exit code, and its name. */
export const wasm: Workload = {
  image: reference,
  program: /(^|\/)(wasmtime|wasmedge)$/,
  upFile: "/rootfs/tmp/up",
  upFileIs: "below its root",

  command({ kind, code, lastsMs, name }) {
    if (kind === "broken") return ["/no/such/module.wasm", name];
    return kind === "ends" ? moduleCommand("end", lastsMs, code, name) : moduleCommand("wait", 0, 0, name);
  },

  execCommand: (name, { code, lastsMs }) => moduleCommand("say", lastsMs, code, `${name}-exec`),

  // No module hears a signal: all of them end by it.
  codeOfStop: () => SIGTERM_STATUS,
};

function moduleCommand(action: keyof typeof actions, ms: number, code: number, name: string): string[] {
  const variant = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % VARIANTS;
  return [`/churn-${variant}.wasm`, action, digits(ms, 4), digits(code, 3), name];
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, "0");
}

export function churnImage(): OciImage {
  const modules = Array.from({ length: VARIANTS }, (_, variant) => ({
    path: `churn-${variant}.wasm`,
    type: "file" as const,
    content: churnModule(variant),
  }));
  return { reference, entrypoint: ["/churn-0.wasm"], rootfs: [{ path: "tmp", type: "directory" }, ...modules] };
}

/** In the module's memory: pointers to the arguments, and their bytes. */
const [POINTERS, ARGUMENTS, COUNT] = [1024, 2048, 32];
const [ACTION, MS, STATUS, NAME] = [1, 2, 3, 4];
const FROM = "from ";
const UP = "tmp/up";
const LINE_END = 640;
const PADDING_AT = 4096;

const argument = (index: number): Code => load(POINTERS + 4 * index);

/** The number that an argument has, in so many digits. */
function numberIn(index: number, count: number): Code {
  let value: Code = i32(0);
  for (let at = 0; at < count; at++) {
    const digit = subtract(loadByte(add(argument(index), i32(at))), i32("0".charCodeAt(0)));
    value = add(multiply(value, i32(10)), digit);
  }
  return value;
}

const isAction = (name: string): Code => equal(loadByte(argument(ACTION)), i32(name.charCodeAt(0)));
const DAY_NS = 86_400_000_000_000n;

/** By their first letters. */
const actions = {
  wait: [openFile(UP.length, CREATE), loop(sleep(i64(DAY_NS)))],
  say: [
    write(i32(STDOUT), i32(TEXT + UP.length), i32(FROM.length)),
    // The bytes end where the last argument does, with a NUL.
    write(
      i32(STDOUT),
      argument(NAME),
      subtract(subtract(add(i32(ARGUMENTS), load(COUNT + 4)), argument(NAME)), i32(1)),
    ),
    write(i32(STDOUT), i32(LINE_END), i32(1)),
  ],
  end: [],
} satisfies Record<string, Code>;

function churnModule(variant: number): Buffer {
  const main: Code = [
    drop(call("args_sizes_get", i32(COUNT), i32(COUNT + 4))),
    drop(call("args_get", i32(POINTERS), i32(ARGUMENTS))),
    when(isAction("wait"), actions.wait),
    sleep(multiplyLong(long(numberIn(MS, 4)), i64(1_000_000n))),
    when(isAction("say"), actions.say),
    exit(numberIn(STATUS, 3)),
  ];
  const data = [
    { at: TEXT, content: UP + FROM },
    { at: LINE_END, content: "\n" },
    { at: PADDING_AT, content: Buffer.alloc(PADDING_BYTES, variant + 1) },
  ];
  return wasmBinary({ functions: { _start: main }, data, pages: Math.ceil((PADDING_AT + PADDING_BYTES) / 65_536) });
}
