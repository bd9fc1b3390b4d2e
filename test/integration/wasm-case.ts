import { wasmParts } from "@kuasar/install/parts";
import { type RuntimeCase, runtimeCases } from "./runtime-case.ts";
import { modulesImage } from "./wasm-modules.ts";

export type WasmEngineName = "wasmedge" | "wasmtime";

export const wasmEngines: readonly WasmEngineName[] = ["wasmedge", "wasmtime"];

/** The ways that containerd comes to the shim, with the wasm sandboxer behind it and one of its engines chosen. */
export function wasmCases(engine: WasmEngineName): readonly RuntimeCase[] {
  return runtimeCases
    .filter(({ sandboxer }) => sandboxer)
    .map((runtimeCase) => ({
      ...runtimeCase,
      title: `${engine} behind ${runtimeCase.title}`,
      handler: `${runtimeCase.handler}-wasm`,
      program: "wasm-sandboxer",
      config: async () => ({ engine, ...(await wasmParts()) }),
      images: () => [modulesImage()],
    }));
}
