import type { OciSpec } from "@kuasar/framework/oci/spec";
import type { WasmConfig } from "../config.ts";
import { engineNamed } from "../options/wasm-options.ts";
import { createEnginePrograms, type EngineProgram } from "./engine-program.ts";
import { ENGINES } from "./engines.ts";
import type { EngineName } from "./wasm-engine.ts";

/** Of a pod or a container; CRI hands on those that the runtime's `pod_annotations` and `container_annotations` name. */
export const ENGINE_ANNOTATION = "kuasar.io/wasm-engine";

export interface EngineChoice {
  /** The engine that the annotation names, else the options, else the config. */
  program(spec: OciSpec, fromOptions: EngineName | undefined): Promise<EngineProgram>;
}

export function createEngineChoice(config: WasmConfig): EngineChoice {
  const programs = createEnginePrograms();
  return {
    async program({ annotations }, fromOptions) {
      const annotated = annotations?.[ENGINE_ANNOTATION];
      const named = annotated === undefined ? undefined : engineNamed(annotated, `annotation ${ENGINE_ANNOTATION}`);
      const name = named ?? fromOptions ?? config.engine;
      return await programs.find(ENGINES[name], config[name]);
    },
  };
}
