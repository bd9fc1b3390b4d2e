import { httpComponent } from "@kuasar/install/http-component";
import type { OciImage } from "@kuasar/install/oci-image";
import type { TarEntry } from "@kuasar/install/tar-archive";
import { CREATE, FD, openFile, RESULT, read, STDIN, STDOUT, say, TEXT, write } from "@kuasar/install/wasi-calls";
import {
  add,
  type Code,
  call,
  drop,
  exit,
  fill,
  growMemory,
  i32,
  isZero,
  load,
  loop,
  memoryPages,
  multiply,
  subtract,
  unreachable,
  wasmBinary,
  when,
} from "@kuasar/install/wasm-binary";

export const wasmReference = "docker.io/library/modules:kuasar";

/** Where programs keep what beside: pointers, and a buffer for reading and writing. */
const [POINTERS, BUFFER, BUFFER_BYTES] = [1024, 8192, 32768];
const PAGE_BYTES = 65_536;

const says = (content: string) => ({ data: [{ at: TEXT, content }] });
const writeBuffer = (length: Code): Code => write(i32(STDOUT), i32(BUFFER), length);
const echo: Code = [
  say("ready\n".length),
  loop(read(i32(STDIN), BUFFER, BUFFER_BYTES), when(isZero(load(RESULT)), exit(i32(0))), writeBuffer(load(RESULT))),
];
const printing = (text: string) => wasmBinary({ ...says(text), functions: { _start: say(text.length) } });

/** Opens a file that the root folder is to have, and prints what is in it; ends with WASI's error number. */
const printingFile = (path: string) =>
  wasmBinary({
    ...says(path),
    functions: { _start: [openFile(path.length, 0), read(load(FD), BUFFER, BUFFER_BYTES), writeBuffer(load(RESULT))] },
  });

const writingFile = (path: string) =>
  wasmBinary({
    ...says(path),
    functions: { _start: [openFile(path.length, CREATE), write(load(FD), i32(TEXT), i32(4))] },
  });

/** Its arguments and its environment, each with a NUL behind it. */
const listing: Code = [
  drop(call("args_sizes_get", i32(RESULT), i32(RESULT + 4))),
  drop(call("args_get", i32(POINTERS), i32(BUFFER))),
  writeBuffer(load(RESULT + 4)),
  drop(call("environ_sizes_get", i32(RESULT), i32(RESULT + 4))),
  drop(call("environ_get", i32(POINTERS), i32(BUFFER))),
  writeBuffer(load(RESULT + 4)),
];

const CHUNK_PAGES = 256;
const greedy: Code = loop(
  // -1 says that there is no more.
  when(isZero(add(growMemory(i32(CHUNK_PAGES)), i32(1))), unreachable),
  fill(multiply(subtract(memoryPages, i32(CHUNK_PAGES)), i32(PAGE_BYTES)), 1, i32(CHUNK_PAGES * PAGE_BYTES)),
);

const BIG_BYTES = 100 * 1024 * 1024;

export const wasmModules: Readonly<Record<string, Buffer>> = {
  "hello.wasm": printing("hello from wasm\n"),
  "list.wasm": wasmBinary({ functions: { _start: listing } }),
  "echo.wasm": wasmBinary({ ...says("ready\n"), functions: { _start: echo } }),
  "exit.wasm": wasmBinary({
    ...says("called\n"),
    functions: { _start: exit(i32(42)), called: say("called\n".length) },
  }),
  "trap.wasm": wasmBinary({ functions: { _start: unreachable } }),
  "loop.wasm": wasmBinary({ ...says("up\n"), functions: { _start: [say("up\n".length), loop()] } }),
  "greedy.wasm": wasmBinary({ functions: { _start: greedy } }),
  "parent.wasm": printingFile("../etc/passwd"),
  "file.wasm": printingFile("data/file"),
  "device.wasm": printingFile("dev/null"),
  "write.wasm": writingFile("data/new"),
  // As WasmEdge leaves native code in a module; what is in this section is none.
  "native.wasm": Buffer.concat([printing("hello from wasm\n"), Buffer.from("\0\x0d\x08wasmedgecode", "latin1")]),
  "corrupt.wasm": Buffer.concat([printing("x").subarray(0, 40), Buffer.alloc(40, 0xff)]),
};

/** A module of 100 MB, most of which is data. */
export function bigModule(): Buffer {
  const pages = Math.ceil(BIG_BYTES / PAGE_BYTES) + 2;
  const data = [
    { at: TEXT, content: "big\n" },
    { at: 2 * PAGE_BYTES - PAGE_BYTES, content: Buffer.alloc(BIG_BYTES, 7) },
  ];
  return wasmBinary({ pages, data, functions: { _start: say("big\n".length) } });
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
