/** What a container's arguments ask for: a module, and perhaps one of its functions. */
export interface Entry {
  /** As the container knows it. */
  readonly module: string;
  /** "" for the module's own start. */
  readonly functionName: string;
  readonly args: readonly string[];
}

const MODULE = /^(.+\.(?:wasm|wat))(?:#(.*))?$/s;

/** `module.wasm`, `module.wat` or `module.wasm#function`, with arguments; undefined for anything else: a Linux program. */
export function entryOf(args: readonly string[]): Entry | undefined {
  const [first = "", ...rest] = args;
  const [, module, functionName = ""] = MODULE.exec(first) ?? [];
  return module === undefined ? undefined : { module, functionName, args: rest };
}
