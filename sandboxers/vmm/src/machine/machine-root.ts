import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Monitor, Mount, RootMount } from "@kuasar/framework/monitor/monitor";
import type { LaunchFiles } from "../hypervisor/hypervisor.ts";

/** The program's libraries, and how they are found: the loader's list, and Debian's choice between some of them. */
const LIBRARIES = ["/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"];
const HARMLESS = ["nosuid", "nodev"];

/**
 * The root of the process that a guest may have taken over: of the host's files it finds only what it needs, and can write
 * to nothing but its own folder.
 *
 * @param folder the machine's; what lies in it beside `own` and the door is out of its sight
 * @param own the hypervisor's folder
 */
export function machineRoot(folder: string, own: string, { readOnly, writable }: LaunchFiles): RootMount[] {
  const bind = (path: string, options: readonly string[]): RootMount => ({
    type: "bind",
    source: path,
    target: path,
    options,
  });
  const libraries = LIBRARIES.filter((path) => existsSync(path));
  const others = readOnly.filter((path) => !libraries.some((library) => `${path}/`.startsWith(`${library}/`)));
  return [
    ...[...libraries, ...others].map((path) => bind(path, ["ro", ...HARMLESS])),
    ...writable.map((path) => bind(path, ["nosuid", "noexec"])),
    bind(own, ["noexec", ...HARMLESS]),
    bind(doorOf(folder), ["ro", "nosuid", "noexec", "slave"]),
  ];
}

/** By which files come to a hypervisor that is locked in already: what the host mounts there is there for it, too. */
export async function openDoor(monitor: Monitor, folder: string): Promise<void> {
  const door = doorOf(folder);
  mkdirSync(door, { recursive: true, mode: 0o700 });
  const options = ["size=64k", "nr_inodes=1k", "mode=700", "nosuid", "noexec", "shared"];
  // On a mount that a volume of the host's root has no copy of, as the pod's share is (share-folder.ts).
  const unseen: Mount = { type: "bind", source: door, target: "", options: ["bind", "unbindable"] };
  await monitor.mount([unseen, { type: "tmpfs", source: "tmpfs", target: "", options }], door);
}

/** With all that is still mounted there, or on its way. Harmless if there is none. */
export async function closeDoor(monitor: Monitor, folder: string): Promise<void> {
  await monitor.unmount(doorOf(folder));
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (name.startsWith(STAGED)) await monitor.unmount(join(folder, name));
  }
}

/** A file or device of the host's, for the hypervisor to open; answers with the path by which it is there for it. */
export async function passIn(
  monitor: Monitor,
  folder: string,
  name: string,
  { path, readOnly }: { readonly path: string; readonly readOnly: boolean },
): Promise<string> {
  await takeBack(monitor, folder, name);
  const point = join(doorOf(folder), name);
  await bindFile(monitor, path, point, readOnly ? join(folder, `${STAGED}${name}`) : undefined);
  return point;
}

/**
 * @param staged where it is made read-only first, for such a bind is one that can be written to for a moment, and stays so for
 *   whoever sees it by a mount that receives; a bind of a read-only one is read-only from its first moment
 */
async function bindFile(monitor: Monitor, path: string, point: string, staged?: string): Promise<void> {
  const bind = async (source: string, target: string, ...options: string[]) => {
    // Were something mounted there still, it would be emptied.
    writeFileSync(target, "", { flag: "wx", mode: 0o600 });
    await monitor.mount([{ type: "bind", source, target: "", options: ["bind", ...options] }], target);
  };
  if (staged === undefined) return await bind(path, point);
  await bind(path, staged, "private", "ro");
  await bind(staged, point);
  await unbindFile(monitor, staged);
}

/** Harmless if it is not there. What the hypervisor still has open it keeps. */
export async function takeBack(monitor: Monitor, folder: string, name: string): Promise<void> {
  await unbindFile(monitor, join(doorOf(folder), name));
  await unbindFile(monitor, join(folder, `${STAGED}${name}`));
}

async function unbindFile(monitor: Monitor, point: string): Promise<void> {
  await monitor.unmount(point);
  rmSync(point, { force: true });
}

/** Beside the door, where the hypervisor sees nothing. */
const STAGED = "staged.";
const doorOf = (folder: string) => join(folder, "door");
