import { readFileSync } from "node:fs";
import { cgroupFolder, type Hierarchies, hierarchies } from "./hierarchies.ts";

/**
 * Where a process is in every hierarchy: nearly always the same path everywhere, so only what differs is listed.
 * A v2 path is the common one on a unified host.
 */
export interface CgroupPaths {
  readonly common: string;
  readonly other?: Readonly<Record<string, string>>;
}

/** Reads the lines `id:controllers:path` of /proc/PID/cgroup, cgroups(7). */
export function parseProcCgroup(text: string, mode: Hierarchies["mode"]): CgroupPaths | undefined {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [id, controllers, ...path] = line.split(":");
    if (controllers === undefined || path.length === 0) {
      continue;
    }
    const isV2 = id === "0" && controllers === "";
    if (isV2 === (mode === "unified")) {
      for (const controller of controllers.split(",")) {
        paths.set(controller, path.join(":"));
      }
    }
  }
  const common = paths.get("") ?? paths.get("memory") ?? paths.get("pids") ?? [...paths.values()][0];
  if (common === undefined) {
    return undefined;
  }
  const other = [...paths].filter(([, path]) => path !== common);
  return other.length === 0 ? { common } : { common, other: Object.fromEntries(other) };
}

/** The cgroups of a live process, or undefined if it is gone. `pid` is in this process's pid namespace. */
export function cgroupPathsOf(pid: number): CgroupPaths | undefined {
  try {
    return parseProcCgroup(readFileSync(`/proc/${pid}/cgroup`, "utf8"), hierarchies().mode);
  } catch {
    return undefined;
  }
}

/** The folder of one v1 controller, or of the v2 cgroup on a unified host; undefined if there is none. */
export function controllerFolder(paths: CgroupPaths, controller: string): string | undefined {
  const all = hierarchies();
  if (all.mode === "unified") {
    return all.v2 && cgroupFolder(all.v2, paths.common);
  }
  const hierarchy = all.v1.find((candidate) => candidate.controllers.includes(controller));
  return hierarchy && cgroupFolder(hierarchy, paths.other?.[controller] ?? paths.common);
}

/** The folder by which the members of a cgroup are found. */
export function membersFolder(paths: CgroupPaths): string | undefined {
  for (const controller of ["pids", "memory", "freezer", "devices", "cpu", "name=systemd"]) {
    const folder = controllerFolder(paths, controller);
    if (folder !== undefined) {
      return folder;
    }
  }
  return undefined;
}

/** True if both are the same cgroups: a container that was given none of its own shares its parent's. */
export function sameCgroups(a: CgroupPaths, b: CgroupPaths): boolean {
  return a.common === b.common;
}
