import { join } from "node:path";
import { createContentStores } from "@kuasar/framework/containerd/content-store";
import type { Logger } from "@kuasar/framework/log/logger";
import { createPausePods } from "@kuasar/framework/pause/pause-pods";
import { goPlatform } from "@kuasar/framework/sandbox/platform";
import type { Sandboxer } from "@kuasar/framework/sandbox/sandboxer";
import { createSealedFiles } from "@kuasar/framework/store/sealed-files";
import { createRuntimeChoice } from "@kuasar/runc-sandboxer/runtime-choice";
import { createRuncTasks } from "@kuasar/runc-sandboxer/task/runc-tasks";
import { createImageModules } from "./artifact/image-modules.ts";
import type { WasmConfig } from "./config.ts";
import { createEngineChoice } from "./engine/engine-choice.ts";
import { createCompiledModules } from "./modules/compiled-modules.ts";
import { parseWasmOptions } from "./options/wasm-options.ts";
import { createPodTasks } from "./task/pod-tasks.ts";
import { createWasmTasks } from "./task/wasm-tasks.ts";

// A name with a leading dot is no namespace.
const MODULES = ".modules";
const MB = 1024 * 1024;

/** Pods as a pause process that holds their namespaces, containers as processes of a Wasm engine within them. */
export function createWasmSandboxer(config: WasmConfig, log: Logger, dir: string): Sandboxer {
  const room = config.compiled_modules_mb * MB;
  const files = createSealedFiles(join(dir, MODULES), room, log);
  const modules = createCompiledModules(files);
  const images = createImageModules(createContentStores(), modules, config.containerd_address);
  const loader = { config, modules, images, log, interruptions: new WeakMap() };
  const wasm = createWasmTasks(createEngineChoice(config), loader);
  return {
    ...createPausePods(config.pause, log),
    kind: "wasm",
    takesSignals: true,
    tidy: files.tidy,
    platform: goPlatform(),
    tasks: createPodTasks(wasm, createRuncTasks(createRuntimeChoice(config))),

    parseOptions(options) {
      const parsed = parseWasmOptions(options);
      return parsed === undefined
        ? {}
        : { options: { ...parsed.runc }, ...(parsed.engine && { wasmEngine: parsed.engine }) };
    },
  };
}
