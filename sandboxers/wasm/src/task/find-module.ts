import { notFound, SandboxError } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { ImageModule, ImageModules } from "../artifact/image-modules.ts";
import { findInContainer } from "../entry/container-paths.ts";
import { type ModuleFile, openModule } from "../modules/module-file.ts";
import { isBind } from "../root/engine-root.ts";
import { rootOf } from "./wasm-details.ts";

/** A container's module, open. */
export interface FoundModule {
  readonly file: ModuleFile;
  /** SHA-256, in hex, where it is known. */
  readonly digest?: string;
  /** Closes it. */
  release(): void;
}

export interface WantedModule {
  /** As the container's arguments have it. */
  readonly name: string;
  /** See `openModule`. */
  readonly layers: string;
  /** Nothing is waited for any more. */
  readonly interruption: AbortSignal;
}

/** In the container's root or its mounts, else among its image's layers. NOT_FOUND if it is in none. */
export async function findModule(
  images: ImageModules,
  sandbox: Sandbox,
  task: Task,
  spec: OciSpec,
  { name, layers, interruption }: WantedModule,
): Promise<FoundModule> {
  const mounts = spec.mounts ?? [];
  const found = findInContainer(rootOf(task, spec), mounts, name, spec.process?.cwd);
  if (found !== undefined) {
    const ofImage = !mounts.some((mount) => isBind(mount) && found.onHost.startsWith(mount.source ?? "/"));
    const file = openModule(found.onHost, quote(name), ofImage ? layers : "", found.base);
    return { file, release: file.close };
  }
  const missing = `module ${quote(name)}: no such file in the container`;
  const module = await obtain(images, sandbox, task, name, interruption, missing);
  try {
    const file = openModule(module.path, quote(name), "");
    const release = () => {
      file.close();
      module.release();
    };
    return { file, digest: module.digest, release };
  } catch (error) {
    module.release();
    throw error;
  }
}

async function obtain(
  images: ImageModules,
  sandbox: Sandbox,
  task: Task,
  name: string,
  interruption: AbortSignal,
  missing: string,
): Promise<ImageModule> {
  try {
    const module = await images.obtain(sandbox, task.id, name, interruption);
    if (module !== undefined) {
      return module;
    }
  } catch (error) {
    throw error instanceof SandboxError
      ? new SandboxError(error.code, `${missing}; its image: ${error.message}`)
      : error;
  }
  throw notFound(missing);
}
