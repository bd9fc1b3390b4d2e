import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { readText } from "../platform/files.ts";
import { sleep } from "../platform/loop.ts";
import { MS_BIND, MS_RDONLY, MS_REMOUNT, parseMountOptions } from "./mount-options.ts";

/** kuasar.monitor.v1.Mount: as containerd's types.Mount. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Below the target of the whole; "" is that itself. */
  readonly target: string;
  readonly options: readonly string[];
}

/** The kernel takes one page of data; containerd leaves this much room, too. */
const DATA_LIMIT = 4096 - 512;

const BUSY_RETRIES = 20;
const BUSY_DELAY_MS = 10;

/** Mounts each in turn; on an error those before it are unmounted again. */
export async function mountAll(mounts: readonly Mount[], target: string): Promise<void> {
  requireAbsolute(target);
  try {
    for (const mount of mounts) mountOne(mount, join(target, mount.target));
  } catch (error) {
    await unmountAll(target);
    throw error;
  }
}

function requireAbsolute(target: string): void {
  if (!target.startsWith("/") || target.split("/").includes("..")) {
    throw new StatusError(Code.INVALID_ARGUMENT, `target: expected an absolute path without "..", got ${target}`);
  }
}

function join(target: string, below: string): string {
  if (below === "" || below === "/") return target;
  if (below.split("/").includes("..")) {
    throw new StatusError(Code.INVALID_ARGUMENT, `mounts.target: expected a path below ${target}, got ${below}`);
  }
  return `${target}/${below.replace(/^\/+/, "")}`;
}

function mountOne(mount: Mount, target: string): void {
  const { flags, propagation, data } = parseMountOptions(mount.options);
  const text = data.join(",");
  try {
    if (text.length > DATA_LIMIT && mount.type === "overlay") mountLongOverlay(mount, target, flags, data);
    else sys.mount(mount.source, target, mount.type, flags, text);
    // The kernel ignores "ro" when a bind mount is made.
    if (flags & MS_BIND && flags & MS_RDONLY) sys.mount("", target, "", flags | MS_REMOUNT, text);
    if (propagation) sys.mount("", target, "", propagation, "");
  } catch (error) {
    const what = `mount ${mount.type || "bind"} ${mount.source} on ${target} (${mount.options.join(",").slice(0, 400)})`;
    throw new StatusError(Code.FAILED_PRECONDITION, `${what}: ${(error as Error).message}`);
  }
}

/** Many layers have long paths in common: relative to the folder that all are in, their list fits into a page. */
function mountLongOverlay(mount: Mount, target: string, flags: number, data: readonly string[]): void {
  const lower = data.find((option) => option.startsWith("lowerdir="));
  const layers = lower?.slice("lowerdir=".length).split(":") ?? [];
  const common = commonFolder(layers);
  if (!common || !target.startsWith("/")) {
    throw new StatusError(Code.INVALID_ARGUMENT, `mounts.options: expected at most ${DATA_LIMIT} bytes of data`);
  }
  const short = data.map((option) =>
    option === lower ? `lowerdir=${layers.map((layer) => layer.slice(common.length + 1)).join(":")}` : option,
  );
  const before = sys.getcwd();
  sys.chdir(common);
  try {
    sys.mount(mount.source, target, mount.type, flags, short.join(","));
  } finally {
    sys.chdir(before);
  }
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
