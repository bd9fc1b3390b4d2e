/** The Wasm engines: what is here of each is what its command line has of its own. */
export const ENGINE_NAMES = ["wasmedge", "wasmtime"] as const;

export type EngineName = (typeof ENGINE_NAMES)[number];

export function isEngineName(name: unknown): name is EngineName {
  return ENGINE_NAMES.some((known) => known === name);
}

/** What a file is that an engine can be given. */
export type ModuleKind = "module" | "component" | "http component" | "text";

/** One engine's command line. A new engine is a file with one of these, and a line in `engines.ts`. */
export interface WasmEngine {
  readonly name: EngineName;
  /** What it can run. */
  readonly kinds: readonly ModuleKind[];
  /** Its version, "48.0.8", from what `--version` prints; undefined if that is another program's. */
  versionIn(output: string): string | undefined;
  /** The first version whose command line is the one that is used here. */
  readonly since: readonly [major: number, minor: number];
  /** The custom section that has native code, which it would run though it came with the module. */
  readonly nativeSection?: string;
  /** Whether it looks names up for what it runs, for which it needs `/etc/hosts` and `/etc/resolv.conf`. */
  resolvesNames(kind: ModuleKind): boolean;
  /** Compiles a module ahead of time. */
  compile(module: string, output: string): string[];
  run(run: ModuleRun): string[];
}

/** A module about to be run; paths are in the engine's own root. */
export interface ModuleRun {
  readonly path: string;
  readonly kind: ModuleKind;
  /** It was compiled ahead of time, by this engine in this version. */
  readonly compiled: boolean;
  /** The exported function to call; "" for the module's own start. */
  readonly functionName: string;
  /** Without the module's own name. */
  readonly args: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly folders: readonly PreopenedFolder[];
  /** Where an HTTP component listens. */
  readonly httpAddress: string;
}

/** A folder that the module can see. */
export interface PreopenedFolder {
  readonly path: string;
  /** What the module knows it as. */
  readonly name: string;
  readonly readOnly: boolean;
}
