import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
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
  await monitor.mount([{ type: "tmpfs", source: "tmpfs", target: "", options }], door);
}

/** With all that is still mounted there. Harmless if there is none. */
export async function closeDoor(monitor: Monitor, folder: string): Promise<void> {
  await monitor.unmount(doorOf(folder));
}

/** A file or device of the host's, for the hypervisor to open; answers with the path by which it is there for it. */
export async function passIn(monitor: Monitor, folder: string, name: string, path: string): Promise<string> {
  await takeBack(monitor, folder, name);
  const point = join(doorOf(folder), name);
  // Were something mounted there still, it would be emptied.
  writeFileSync(point, "", { flag: "wx", mode: 0o600 });
  const mount: Mount = { type: "bind", source: path, target: "", options: ["bind"] };
  await monitor.mount([mount], point);
  return point;
}

/** Harmless if it is not there. What the hypervisor still has open it keeps. */
export async function takeBack(monitor: Monitor, folder: string, name: string): Promise<void> {
  const point = join(doorOf(folder), name);
  await monitor.unmount(point);
  rmSync(point, { force: true });
}

const doorOf = (folder: string) => join(folder, "door");
