import { httpComponent } from "@kuasar/install/http-component";
import type { OciImage } from "@kuasar/install/oci-image";
import type { TarEntry } from "@kuasar/install/tar-archive";
import {
  type Code,
  call,
  drop,
  exit,
  fill,
  growMemory,
  i32,
  i64,
  isZero,
  load,
  loop,
  memoryPages,
  multiply,
  store,
  subtract,
  unreachable,
  wasmBinary,
  when,
} from "@kuasar/install/wasm-binary";

export const wasmReference = "docker.io/library/modules:kuasar";

/** Where programs keep what: a buffer for reading and writing, results of calls, texts. */
const [IOVEC, RESULT, STATUS, FD, TEXT, POINTERS, BUFFER, BUFFER_BYTES] = [0, 16, 20, 24, 64, 1024, 8192, 32768];
const PAGE_BYTES = 65_536;
const [STDIN, STDOUT, ROOT] = [0, 1, 3];
const CREATE = 1;
const ALL_RIGHTS = 0x1fffffffn;

const write = (fd: Code, at: number, length: Code): Code => [
  store(IOVEC, i32(at)),
  store(IOVEC + 4, length),
  drop(call("fd_write", fd, i32(IOVEC), i32(1), i32(RESULT))),
];
const read = (fd: Code): Code => [
  store(IOVEC, i32(BUFFER)),
  store(IOVEC + 4, i32(BUFFER_BYTES)),
  drop(call("fd_read", fd, i32(IOVEC), i32(1), i32(RESULT))),
];
/** Ends with the call's error number, unless that is 0. */
const orExit = (result: Code): Code => [store(STATUS, result), when(load(STATUS), exit(load(STATUS)))];
const openFile = (length: number, flags: number): Code =>
  orExit(
    call(
      "path_open",
      ...[i32(ROOT), i32(0), i32(TEXT), i32(length), i32(flags), i64(ALL_RIGHTS), i64(0n), i32(0), i32(FD)],
    ),
  );
const say = (text: string): Code => write(i32(STDOUT), TEXT, i32(text.length));
const says = (content: string) => ({ data: [{ at: TEXT, content }] });
const echo: Code = [
  say("ready\n"),
  loop(read(i32(STDIN)), when(isZero(load(RESULT)), exit(i32(0))), write(i32(STDOUT), BUFFER, load(RESULT))),
];
const printing = (text: string) => wasmBinary({ ...says(text), functions: { _start: say(text) } });

/** Opens a file that the root folder is to have, and prints what is in it; ends with WASI's error number. */
const printingFile = (path: string) =>
  wasmBinary({
    ...says(path),
    functions: { _start: [openFile(path.length, 0), read(load(FD)), write(i32(STDOUT), BUFFER, load(RESULT))] },
  });

const writingFile = (path: string) =>
  wasmBinary({ ...says(path), functions: { _start: [openFile(path.length, CREATE), write(load(FD), TEXT, i32(4))] } });

/** Its arguments and its environment, each with a NUL behind it. */
const listing: Code = [
  drop(call("args_sizes_get", i32(RESULT), i32(RESULT + 4))),
  drop(call("args_get", i32(POINTERS), i32(BUFFER))),
  write(i32(STDOUT), BUFFER, load(RESULT + 4)),
  drop(call("environ_sizes_get", i32(RESULT), i32(RESULT + 4))),
  drop(call("environ_get", i32(POINTERS), i32(BUFFER))),
  write(i32(STDOUT), BUFFER, load(RESULT + 4)),
];

const CHUNK_PAGES = 256;
const greedy: Code = loop(
  when(isZero(call0(growMemory(i32(CHUNK_PAGES)))), unreachable),
  fill(multiply(subtract(memoryPages, i32(CHUNK_PAGES)), i32(PAGE_BYTES)), 1, i32(CHUNK_PAGES * PAGE_BYTES)),
);

/** 0 for -1, the answer of a memory that does not grow. */
function call0(code: Code): Code {
  return [code, i32(1), 0x6a];
}

const BIG_BYTES = 100 * 1024 * 1024;

export const wasmModules: Readonly<Record<string, Buffer>> = {
  "hello.wasm": printing("hello from wasm\n"),
  "list.wasm": wasmBinary({ functions: { _start: listing } }),
  "echo.wasm": wasmBinary({ ...says("ready\n"), functions: { _start: echo } }),
  "exit.wasm": wasmBinary({
    ...says("called\n"),
    functions: { _start: exit(i32(42)), called: say("called\n") },
  }),
  "trap.wasm": wasmBinary({ functions: { _start: unreachable } }),
  "loop.wasm": wasmBinary({ ...says("up\n"), functions: { _start: [say("up\n"), loop()] } }),
  "greedy.wasm": wasmBinary({ functions: { _start: greedy } }),
  "parent.wasm": printingFile("../etc/passwd"),
  "file.wasm": printingFile("data/file"),
  "write.wasm": writingFile("data/new"),
  "corrupt.wasm": Buffer.concat([printing("x").subarray(0, 40), Buffer.alloc(40, 0xff)]),
};

/** A module of 100 MB, most of which is data. */
export function bigModule(): Buffer {
  const pages = Math.ceil(BIG_BYTES / PAGE_BYTES) + 2;
  const data = [
    { at: TEXT, content: "big\n" },
    { at: 2 * PAGE_BYTES - PAGE_BYTES, content: Buffer.alloc(BIG_BYTES, 7) },
  ];
  return wasmBinary({ pages, data, functions: { _start: say("big\n") } });
}

const textModule = `;; a module in text form
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7))))
`;

/** An image whose files are modules; it runs the first of them. */
export function modulesImage(extra: readonly TarEntry[] = []): OciImage {
  const file = (path: string, content: Buffer): TarEntry => ({ path, type: "file", content, mode: 0o644 });
  return {
    reference: wasmReference,
    entrypoint: ["/hello.wasm"],
    env: ["FROM=image"],
    rootfs: [
      { path: "data", type: "directory" },
      { path: "etc", type: "directory" },
      file("etc/passwd", Buffer.from("root:x:0:0::/:\n")),
      file("data/file", Buffer.from("of the image\n")),
      file("text.wat", Buffer.from(textModule)),
      file("http.wat", Buffer.from(httpComponent)),
      ...Object.entries(wasmModules).map(([name, content]) => file(name, content)),
      { path: "link.wasm", type: "symlink", target: "/../../../../../hello.wasm" },
      { path: "escape.wasm", type: "symlink", target: "../../../../etc/passwd" },
      ...extra,
    ],
  };
}
