import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

export interface KernelModule {
  readonly name: string;
  readonly content: Buffer;
}

/**
 * The modules of these names and what they depend on, in an order in which they can be loaded. Names that the kernel
 * has built in, or does not have at all, are left out: `required` ones must be in `builtIn`, then.
 *
 * @param folder lib/modules/RELEASE of a kernel package
 */
export function kernelModules(folder: string, names: readonly string[]): KernelModule[] {
  const files = new Map<string, string>();
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const match = /([^/]+)\.ko(\.xz)?$/.exec(path);
    if (match?.[1]) files.set(canonical(match[1]), join(folder, path));
  }
  const loaded = new Map<string, KernelModule>();
  const load = (name: string) => {
    const path = files.get(canonical(name));
    if (path === undefined || loaded.has(canonical(name))) return;
    const content = readModule(path);
    for (const dependency of dependencies(content)) load(dependency);
    loaded.set(canonical(name), { name: canonical(name), content });
  };
  names.forEach(load);
  return [...loaded.values()];
}

/** The kernel takes - and _ in a module's name for the same. */
const canonical = (name: string) => basename(name).replaceAll("-", "_");

function readModule(path: string): Buffer {
  return path.endsWith(".xz")
    ? execFileSync("xz", ["--decompress", "--stdout", path], { maxBuffer: 64 << 20 })
    : readFileSync(path);
}

/** A module's file says itself what it needs, in its section .modinfo. */
function dependencies(content: Buffer): string[] {
  const at = content.indexOf("\0depends=");
  if (at < 0) return [];
  const start = at + "\0depends=".length;
  const list = content.toString("latin1", start, content.indexOf(0, start));
  return list === "" ? [] : list.split(",");
}
