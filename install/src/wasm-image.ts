import { httpComponent } from "./http-component.ts";
import type { OciImage } from "./oci-image.ts";
import { say, sleep, TEXT } from "./wasi-calls.ts";
import { i64, wasmBinary } from "./wasm-binary.ts";

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

const TEN_DAYS_NS = 864_000_000_000_000n;

function printingModule(text: string): Buffer {
  return wasmBinary({ functions: { _start: say(text.length) }, data: [{ at: TEXT, content: text }] });
}

function sleepingModule(): Buffer {
  return wasmBinary({ functions: { _start: sleep(i64(TEN_DAYS_NS)) } });
}
