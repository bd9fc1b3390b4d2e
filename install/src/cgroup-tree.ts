import { type Dirent, existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { mountTable } from "./mount-table.ts";

export type CgroupMode = "unified" | "hybrid" | "legacy" | "none";

/** Mount points of every cgroup hierarchy: each of v1's and, where mounted, v2's. */
export function cgroupHierarchies(): string[] {
  return mountTable()
    .filter((mount) => mount.fsType === "cgroup" || mount.fsType === "cgroup2")
    .map((mount) => mount.target);
}

export function cgroupMode(): CgroupMode {
  const types = new Set(mountTable().map((mount) => mount.fsType));
  if (types.has("cgroup2")) return types.has("cgroup") ? "hybrid" : "unified";
  return types.has("cgroup") ? "legacy" : "none";
}

/** Every control group of every hierarchy, by its absolute path. */
export function cgroupPaths(): string[] {
  return cgroupHierarchies().flatMap((root) => groupsBelow(root));
}

/** Pids of every process in a control group, or one below it, of any hierarchy. `path` is relative to their roots. */
export function cgroupMembers(path: string): number[] {
  const pids = new Set<number>();
  for (const group of existingGroups(path)) {
    for (const pid of readFileSync(join(group, "cgroup.procs"), "utf8").split("\n")) if (pid) pids.add(Number(pid));
  }
  return [...pids];
}

/**
 * Removes a control group and those below it from every hierarchy. Throws EBUSY where there are processes in them.
 *
 * @param path relative to the hierarchies' roots, such as "/kuasar-demo"
 */
export function removeCgroup(path: string): void {
  for (const group of existingGroups(path).reverse()) rmdirSync(group);
}

/** The groups of that name, each followed by those below it. */
function existingGroups(path: string): string[] {
  return cgroupHierarchies()
    .map((root) => join(root, path))
    .filter((top) => existsSync(top))
    .flatMap((top) => [top, ...groupsBelow(top)]);
}

function groupsBelow(directory: string): string[] {
  const groups: string[] = [];
  for (const entry of entriesOf(directory)) {
    if (!entry.isDirectory()) continue;
    const path = join(directory, entry.name);
    groups.push(path, ...groupsBelow(path));
  }
  return groups;
}

/** None where the group has gone meanwhile: it may be anybody's. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
