import type { SealedFile, SealedFiles } from "@kuasar/framework/store/sealed-files";

/** Modules that were compiled ahead of time, one file for each module, engine and engine version. */
export interface CompiledModules {
  /** The room that there is, for all of them together. */
  readonly limitBytes: number;
  /** As SealedFiles.obtain: throws {@link NotCompiled} for a module that there is no room for, or that another has failed at. */
  obtain(key: ModuleKey, compile: (folder: string) => Promise<string>, signal?: AbortSignal): Promise<SealedFile>;
}

export interface ModuleKey {
  /** SHA-256 of the module, in hex. */
  readonly digest: string;
  readonly engine: string;
  readonly version: string;
}

export function createCompiledModules(files: SealedFiles): CompiledModules {
  return {
    limitBytes: files.limitBytes,
    obtain: ({ digest, engine, version }, compile, signal) =>
      files.obtain(`${digest}-${engine}-${version}`, compile, signal),
  };
}
