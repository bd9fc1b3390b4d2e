import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { readText } from "../platform/files.ts";
import { sleep } from "../platform/loop.ts";
import { helperOf, mountByHelper } from "./mount-helper.ts";
import { MS_BIND, MS_RDONLY, MS_REMOUNT, parseMountOptions } from "./mount-options.ts";
import type { ProcessTable } from "./process-table.ts";

/** kuasar.monitor.v1.Mount: as containerd's types.Mount. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Below the target of the whole; "" is that itself. */
  readonly target: string;
  readonly options: readonly string[];
}

/** What the kernel takes, with the NUL at its end: one page. */
const DATA_LIMIT = 4096 - 1;

const BUSY_RETRIES = 20;
const BUSY_DELAY_MS = 10;

/** Mounts each in turn, as containerd's mount package does; on an error those before it are unmounted again. */
export async function mountAll(table: ProcessTable, mounts: readonly Mount[], target: string): Promise<void> {
  requireAbsolute(target);
  try {
    for (const mount of mounts) {
      const place = placeOf(target, mount.target);
      const helper = helperOf(mount.type);
      if (helper) await mountByHelper(table, helper, mount, place);
      else mountOne(mount, place);
    }
  } catch (error) {
    await unmountAll(target);
    throw error;
  }
}

/** The root itself is nobody's to mount on, nor to unmount with all that is below it. */
function requireAbsolute(target: string): void {
  const names = target.split("/");
  if (!target.startsWith("/") || names.includes("..") || names.every((name) => name === "" || name === ".")) {
    throw new StatusError(Code.INVALID_ARGUMENT, `target: expected an absolute path without "..", got ${target}`);
  }
}

/** A link in what has been mounted already leads to somewhere within it: an image shall not say where the host mounts. */
function placeOf(target: string, below: string): string {
  if (below === "" || below === "/") return target;
  try {
    return sys.resolveBelow(target, below);
  } catch (error) {
    throw new StatusError(
      Code.FAILED_PRECONDITION,
      `mounts.target: ${below} in ${target}: ${(error as Error).message}`,
    );
  }
}

function mountOne(mount: Mount, target: string): void {
  const { flags, propagation, data } = parseMountOptions(mount.options);
  const { folder, text } = fitted(mount, data);
  const before = sys.getcwd();
  try {
    if (folder) sys.chdir(folder);
    sys.mount(mount.source, target, mount.type, flags, text);
    if (propagation) sys.mount("", target, "", propagation, "");
    // The kernel ignores "ro" when a bind mount is made.
    if (flags & MS_BIND && flags & MS_RDONLY) sys.mount("", target, "", flags | MS_REMOUNT, "");
  } catch (error) {
    const what = `mount ${mount.type || "bind"} ${mount.source} on ${target} (${mount.options.join(",").slice(0, 400)})`;
    throw new StatusError(Code.FAILED_PRECONDITION, `${what}: ${(error as Error).message}`);
  } finally {
    if (folder) sys.chdir(before);
  }
}

/**
 * The data as the kernel takes it. An overlay's many layers have long paths in common: relative to the folder that all are
 * in, to be mounted from there, their list may fit where it would not else.
 */
function fitted({ type }: Mount, data: readonly string[]): { folder?: string; text: string } {
  const text = data.join(",");
  if (lengthOf(text) <= DATA_LIMIT) return { text };
  const lower = type === "overlay" ? data.find((option) => option.startsWith("lowerdir=")) : undefined;
  const layers = lower?.slice("lowerdir=".length).split(":") ?? [];
  const folder = commonFolder(layers);
  const short = data.map((option) =>
    folder && option === lower ? `lowerdir=${layers.map((layer) => layer.slice(folder.length + 1)).join(":")}` : option,
  );
  if (!folder || lengthOf(short.join(",")) > DATA_LIMIT) {
    throw new StatusError(Code.INVALID_ARGUMENT, `mounts.options: expected at most ${DATA_LIMIT} bytes of data`);
  }
  return { folder, text: short.join(",") };
}

function lengthOf(text: string): number {
  return sys.encodeUtf8(text).byteLength;
}

function commonFolder(paths: readonly string[]): string | undefined {
  const [first, ...others] = paths.map((path) => path.split("/"));
  if (!first || others.length === 0) return undefined;
  let shared = 0;
  while (shared < first.length - 1 && others.every((other) => other[shared] === first[shared])) shared++;
  return shared > 1 ? first.slice(0, shared).join("/") : undefined;
}

/** Unmounts target and everything below it, however often something is mounted there. */
export async function unmountAll(target: string): Promise<void> {
  requireAbsolute(target);
  // Mostly there is one mount and nothing below it; the table of mounts, which is long, need not be read then.
  for (let tries = 0; ; tries++) {
    const result = unmountOne(target, 0);
    if (result === "none") return;
    if (result === "done") continue;
    const below = mountsBelow(target);
    for (const path of below) unmountOne(path, tries < BUSY_RETRIES ? 0 : sys.MNT_DETACH);
    if (below.length > 0 && tries < BUSY_RETRIES) continue;
    // Still in use: by a process that is going, or one that has copied our mount namespace.
    if (tries >= BUSY_RETRIES) unmountOne(target, sys.MNT_DETACH);
    else await sleep(BUSY_DELAY_MS);
  }
}

function unmountOne(path: string, flags: number): "done" | "none" | "busy" {
  try {
    sys.unmount(path, flags | sys.UMOUNT_NOFOLLOW);
    return "done";
  } catch (error) {
    const code = (error as sys.SysError).code;
    if (code === "EBUSY") return "busy";
    if (code === "EINVAL" || code === "ENOENT") return "none";
    throw new StatusError(Code.FAILED_PRECONDITION, (error as Error).message);
  }
}

/** Deepest first. */
function mountsBelow(target: string): string[] {
  const points: string[] = [];
  for (const line of readText("/proc/self/mountinfo").split("\n")) {
    const point = line
      .split(" ")[4]
      ?.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (point?.startsWith(`${target}/`)) points.push(point);
  }
  return points.reverse();
}
