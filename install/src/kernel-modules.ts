import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

export interface KernelModule {
  readonly name: string;
  readonly content: Buffer;
  /** Names of those that it needs itself. */
  readonly needs: readonly string[];
  /** What the kernel calls it by when somebody asks for what it brings; patterns are among them. */
  readonly aliases: readonly string[];
}

/**
 * The modules of these names and what they depend on, in an order in which they can be loaded. Names that the kernel
 * has built in, or does not have at all, are left out: `required` ones must be in `builtIn`, then.
 *
 * @param folder lib/modules/RELEASE of a kernel package
 */
export function kernelModules(folder: string, names: readonly string[]): KernelModule[] {
  const files = moduleFiles(folder);
  const loaded = new Map<string, KernelModule>();
  const load = (name: string) => {
    const path = files.get(canonical(name));
    if (path === undefined || loaded.has(canonical(name))) return;
    const content = readModule(path);
    const needs = moduleInfo(content, "depends").flatMap((list) => (list === "" ? [] : list.split(",").map(canonical)));
    needs.forEach(load);
    const aliases = moduleInfo(content, "alias").map(canonical);
    loaded.set(canonical(name), { name: canonical(name), content: withoutSignature(content), needs, aliases });
  };
  names.forEach(load);
  return [...loaded.values()];
}

/** The names of the modules below lib/modules/RELEASE whose path there is one of these. */
export function moduleNames(folder: string, wanted: RegExp): string[] {
  return [...moduleFiles(folder)].filter(([, path]) => wanted.test(relative(folder, path))).map(([name]) => name);
}

function moduleFiles(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const match = /([^/]+)\.ko(\.xz)?$/.exec(path);
    if (match?.[1]) files.set(canonical(match[1]), join(folder, path));
  }
  return files;
}

/** The kernel takes - and _ in a module's name for the same. */
const canonical = (name: string) => name.replaceAll("-", "_");

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

/** A module's file says of itself what it needs and what it is called, in its section .modinfo: "name=value", each after a NUL. */
function moduleInfo(content: Buffer, name: string): string[] {
  const values: string[] = [];
  const key = `\0${name}=`;
  for (let at = content.indexOf(key); at >= 0; at = content.indexOf(key, at + 1)) {
    values.push(content.toString("latin1", at + key.length, content.indexOf(0, at + key.length)));
  }
  return values;
}
