import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
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

/**
 * Removes a control group and those below it from every hierarchy.
 *
 * @param path relative to the hierarchies' roots, such as "/kuasar-demo"
 * @returns the absolute paths of groups that still had processes, and so stay
 */
export function removeCgroup(path: string): string[] {
  const busy: string[] = [];
  for (const root of cgroupHierarchies()) {
    const top = join(root, path);
    if (!existsSync(top)) continue;
    // Children come after their parent in the list.
    for (const group of [top, ...groupsBelow(top)].reverse()) {
      const pids = readFileSync(join(group, "cgroup.procs"), "utf8").trim();
      if (pids) busy.push(`${group} (pids ${pids.split("\n").join(", ")})`);
      else rmdirSync(group);
    }
  }
  return busy;
}

function groupsBelow(directory: string): string[] {
  const groups: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(directory, entry.name);
    groups.push(path, ...groupsBelow(path));
  }
  return groups;
}
