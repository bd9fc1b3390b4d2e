import { errorText, failedPrecondition, invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Mount } from "@kuasar/framework/monitor/monitor";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { ImageModules } from "../artifact/image-modules.ts";
import type { WasmConfig } from "../config.ts";
import type { EngineProgram } from "../engine/engine-program.ts";
import type { ModuleKind } from "../engine/wasm-engine.ts";
import { hasCustomSection, moduleKind } from "../entry/module-kind.ts";
import { compileModule } from "../modules/compile-module.ts";
import type { CompiledModules } from "../modules/compiled-modules.ts";
import type { ModuleFile } from "../modules/module-file.ts";
import { NotCompiled } from "../modules/not-compiled.ts";
import { findModule } from "./find-module.ts";
import { compilerKey } from "./wasm-details.ts";

/** The file that an engine is given. */
export interface LoadedModule {
  /** On the host. */
  readonly path: string;
  readonly kind: ModuleKind;
  readonly compiled: boolean;
  /** To be called once the engine's process has the file. */
  release(): void;
}

/** What loading is done with. */
export interface ModuleLoader {
  readonly config: WasmConfig;
  readonly images: ImageModules;
  readonly modules: CompiledModules;
  readonly log: Logger;
  /** Aborted when what is being done to a task is to end now. */
  readonly interruptions: WeakMap<Task, AbortController>;
}

/** Has nothing be waited for any more that is done for this task. */
export function interruptLoading({ interruptions }: ModuleLoader, task: Task): void {
  interruptions.get(task)?.abort();
  interruptions.delete(task);
}

function interruptionOf({ interruptions }: ModuleLoader, task: Task): AbortSignal {
  const controller = interruptions.get(task) ?? new AbortController();
  interruptions.set(task, controller);
  return controller.signal;
}

/** Room for all else that the caller waits for. */
const MARGIN_MS = 5_000;

/**
 * Finds a container's module, and has it compiled unless that has been done before. NOT_FOUND, INVALID_ARGUMENT or
 * FAILED_PRECONDITION with what is wrong with it.
 */
export async function loadModule(
  loader: ModuleLoader,
  sandbox: Sandbox,
  task: Task,
  spec: OciSpec,
  program: EngineProgram,
  { name, cgroup, layers, timeoutMs }: { name: string; cgroup: string; layers: string; timeoutMs: number },
): Promise<LoadedModule> {
  const { config, modules, log } = loader;
  const interruption = interruptionOf(loader, task);
  const found = await findModule(loader.images, sandbox, task, spec, { name, layers, interruption });
  const { file } = found;
  let isRunAsItIs = false;
  try {
    const kind = await kindOf(file, name, program);
    const asItIs = () => {
      isRunAsItIs = true;
      return { path: file.path, kind, compiled: false, release: found.release };
    };
    if (!config.compile) {
      return asItIs();
    }
    const digest = found.digest ?? (await file.digest());
    const limitMs = config.compile_timeout_seconds * 1000;
    const timeoutOfCaller = timeoutMs === 0 ? limitMs : Math.max(1, timeoutMs - MARGIN_MS);
    const compilation = {
      monitor: sandbox.monitor,
      key: compilerKey(task.id),
      cgroup,
      timeoutMs: Math.min(limitMs, timeoutOfCaller),
      limitBytes: modules.limitBytes,
    };
    const key = { digest, engine: program.engine.name, version: program.version };
    try {
      const compile = (folder: string) => compileModule(program, file, digest, folder, compilation);
      const compiled = await modules.obtain(key, compile, interruption);
      return { path: compiled.path, kind, compiled: true, release: compiled.release };
    } catch (error) {
      if (!(error instanceof NotCompiled)) {
        throw error;
      }
      const what = { task: task.id, module: name, err: errorText(error) };
      log.warn(what, "a module is run without being compiled first");
      return asItIs();
    }
  } finally {
    if (!isRunAsItIs) {
      found.release();
    }
  }
}

async function kindOf(file: ModuleFile, name: string, { engine }: EngineProgram): Promise<ModuleKind> {
  const read = (offset: number, length: number) => file.read(offset, length);
  const kind = await moduleKind(read);
  if (kind === undefined) {
    throw invalidArgument(
      `${quote(name)} is not a WebAssembly module: it has neither its first bytes nor its text form`,
    );
  }
  if (engine.nativeSection !== undefined && kind === "module" && (await hasCustomSection(read, engine.nativeSection))) {
    throw invalidArgument(
      `${quote(name)} has been compiled by ${engine.name} elsewhere: expected a module without native code in it`,
    );
  }
  if (!engine.kinds.includes(kind)) {
    const what = kind === "text" ? "modules in text form" : `a ${kind}`;
    throw failedPrecondition(`${quote(name)}: ${engine.name} does not run ${what}; choose another engine`);
  }
  return kind;
}

/** What names the files of an image: the folders of its layers, which nobody changes. "" if it is not known. */
export function layersOf(rootfs: readonly Mount[]): string {
  const lower = rootfs.length === 1 ? rootfs[0]?.options.find((option) => option.startsWith("lowerdir=")) : undefined;
  return lower ?? "";
}
