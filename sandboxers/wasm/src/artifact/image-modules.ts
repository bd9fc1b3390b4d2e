import { join } from "node:path";
import type { ContentStores } from "@kuasar/framework/containerd/content-store";
import { errorText, failedPrecondition, unavailable } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { CompiledModules } from "../modules/compiled-modules.ts";
import { NotCompiled } from "../modules/not-compiled.ts";
import { layerNamed, moduleLayers } from "./module-layers.ts";

/** A module that has been brought here. */
export interface ImageModule {
  readonly path: string;
  /** SHA-256, in hex. */
  readonly digest: string;
  release(): void;
}

/**
 * Modules of images whose layers are modules. containerd keeps such layers and unpacks none of them: the container's
 * root is empty, and the module is in its content store.
 */
export interface ImageModules {
  /**
   * Undefined if the container's image has none. UNAVAILABLE if containerd does not answer, FAILED_PRECONDITION for a
   * module that is larger than what may be kept here, or is not what its digest says.
   */
  obtain(sandbox: Sandbox, containerId: string, name: string, signal: AbortSignal): Promise<ImageModule | undefined>;
}

/** How a fetched module is told from what it has been compiled to. */
const FETCHED = { engine: "fetched", version: "1" } as const;

/** `address` is containerd's where a sandbox does not say. They are kept among the compiled ones, and in their room. */
export function createImageModules(stores: ContentStores, modules: CompiledModules, address: string): ImageModules {
  return {
    async obtain({ record, namespace }, containerId, name, signal) {
      const store = stores(record.containerdAddress ?? address, namespace);
      const target = await store.imageOf(containerId);
      const layer = target && layerNamed(await moduleLayers(store, target), name);
      if (layer === undefined) {
        return undefined;
      }
      const { limitBytes } = modules;
      if (layer.size > limitBytes) {
        throw failedPrecondition(
          `module ${quote(name)} has ${layer.size} bytes, and compiled_modules_mb is room for ${limitBytes}`,
        );
      }
      const fetch = async (folder: string) => {
        await store.copyTo(layer, join(folder, "module"));
        return "module";
      };
      const digest = layer.digest.replace("sha256:", "");
      try {
        const { path, release } = await modules.obtain({ digest, ...FETCHED }, fetch, signal);
        return { path, digest, release };
      } catch (error) {
        throw error instanceof NotCompiled ? unavailable(`module ${quote(name)}: ${errorText(error)}`, error) : error;
      }
    },
  };
}
