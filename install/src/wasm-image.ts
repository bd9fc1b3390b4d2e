import { httpComponent } from "./http-component.ts";
import type { OciImage } from "./oci-image.ts";
import { type Code, call, drop, i32, store, wasmBinary } from "./wasm-binary.ts";

export const wasmReference = "docker.io/library/wasm-demo:kuasar";

/** Modules that print a line and that sleep, which any engine runs, and a component that serves HTTP, which Wasmtime does. */
export function wasmImage(): OciImage {
  return {
    reference: wasmReference,
    entrypoint: ["/hello.wasm"],
    rootfs: [
      { path: "hello.wasm", type: "file", content: printingModule("hello from a WebAssembly module\n") },
      { path: "sleep.wasm", type: "file", content: sleepingModule() },
      { path: "http.wat", type: "file", content: Buffer.from(httpComponent) },
    ],
  };
}

const [IOVEC, WRITTEN, TEXT, STDOUT] = [0, 8, 64, 1];

function printingModule(text: string): Buffer {
  const print: Code = [
    store(IOVEC, i32(TEXT)),
    store(IOVEC + 4, i32(text.length)),
    drop(call("fd_write", i32(STDOUT), i32(IOVEC), i32(1), i32(WRITTEN))),
  ];
  return wasmBinary({ functions: { _start: print }, data: [{ at: TEXT, content: text }] });
}

/** In a subscription to a clock: which one, and the upper half of nanoseconds to wait. */
const [CLOCK, TIMEOUT_HIGH, MONOTONIC] = [16, 28, 1];
const [SUBSCRIPTION, EVENT, COUNT] = [64, 128, 192];

/** Waits for ten days, and takes no processor time. */
function sleepingModule(): Buffer {
  const sleep: Code = [
    store(SUBSCRIPTION + CLOCK, i32(MONOTONIC)),
    store(SUBSCRIPTION + TIMEOUT_HIGH, i32(200_000)),
    drop(call("poll_oneoff", i32(SUBSCRIPTION), i32(EVENT), i32(1), i32(COUNT))),
  ];
  return wasmBinary({ functions: { _start: sleep } });
}
