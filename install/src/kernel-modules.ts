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
    loaded.set(canonical(name), { name: canonical(name), content: withoutSignature(content) });
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

const SIGNATURE_MARK = Buffer.from("~Module signature appended~\n");
/** struct module_signature, which ends with the signature's length, as a big-endian number. */
const SIGNATURE_INFO_BYTES = 12;

/**
 * To check the signatures takes an emulated guest nearly as long as to boot its kernel; whoever can change a module here
 * can change the whole ramdisk. (Documentation/admin-guide/module-signing.rst)
 */
function withoutSignature(content: Buffer): Buffer {
  const info = content.length - SIGNATURE_MARK.length - SIGNATURE_INFO_BYTES;
  if (info < 0 || !content.subarray(-SIGNATURE_MARK.length).equals(SIGNATURE_MARK)) return content;
  return content.subarray(0, info - content.readUInt32BE(info + SIGNATURE_INFO_BYTES - 4));
}

/** A module's file says itself what it needs, in its section .modinfo. */
function dependencies(content: Buffer): string[] {
  const at = content.indexOf("\0depends=");
  if (at < 0) return [];
  const start = at + "\0depends=".length;
  const list = content.toString("latin1", start, content.indexOf(0, start));
  return list === "" ? [] : list.split(",");
}
