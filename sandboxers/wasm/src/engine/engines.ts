import type { EngineName, WasmEngine } from "./wasm-engine.ts";
import { wasmedge } from "./wasmedge.ts";
import { wasmtime } from "./wasmtime.ts";

export const ENGINES: Readonly<Record<EngineName, WasmEngine>> = { wasmedge, wasmtime };
