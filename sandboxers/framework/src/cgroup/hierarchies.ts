import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One mounted cgroup hierarchy. */
export interface Hierarchy {
  readonly mountpoint: string;
  /** The cgroup that is mounted there, "/" but in nested containers. */
  readonly root: string;
  /** The v1 controllers bound to it, `name=systemd` for the named one; none for v2. */
  readonly controllers: readonly string[];
}

/**
 * What cgroups this host has, in containerd's words: `unified` is v2 alone; `hybrid` is v1 with an additional v2
 * hierarchy without controllers, and is used as v1.
 */
export interface Hierarchies {
  readonly mode: "unified" | "hybrid" | "legacy" | "none";
  readonly v2: Hierarchy | undefined;
  readonly v1: readonly Hierarchy[];
}

/** Field positions: proc_pid_mountinfo(5). */
export function parseHierarchies(mountinfo: string): Hierarchies {
  const v1: Hierarchy[] = [];
  let v2: Hierarchy | undefined;
  for (const line of mountinfo.split("\n")) {
    const [head, tail] = line.split(" - ");
    if (head === undefined || tail === undefined) {
      continue;
    }
    const fields = head.split(" ");
    const root = fields[3];
    const mountpoint = fields[4];
    const [type, , superOptions] = tail.split(" ");
    if (root === undefined || mountpoint === undefined) {
      continue;
    }
    if (type === "cgroup2") {
      v2 ??= { mountpoint: unescapeOctal(mountpoint), root, controllers: [] };
    } else if (type === "cgroup") {
      const controllers = (superOptions ?? "").split(",").filter((option) => !SUPER_OPTIONS.has(option));
      if (!v1.some((known) => known.controllers.join() === controllers.join())) {
        v1.push({ mountpoint: unescapeOctal(mountpoint), root, controllers });
      }
    }
  }
  const mode = v1.length > 0 ? (v2 === undefined ? "legacy" : "hybrid") : v2 === undefined ? "none" : "unified";
  return { mode, v2, v1 };
}

const SUPER_OPTIONS = new Set(["rw", "ro", "xattr", "noprefix", "clone_children", "all", "none"]);

let discovered: Hierarchies | undefined;

/** This host's, read once: they do not change while a system runs. */
export function hierarchies(): Hierarchies {
  discovered ??= parseHierarchies(readFileSync("/proc/self/mountinfo", "utf8"));
  return discovered;
}

/** The folder of a cgroup, given by its path as in /proc/PID/cgroup. */
export function cgroupFolder(hierarchy: Hierarchy, path: string): string {
  const nested = hierarchy.root !== "/" && (path === hierarchy.root || path.startsWith(`${hierarchy.root}/`));
  return join(hierarchy.mountpoint, nested ? path.slice(hierarchy.root.length) : path);
}

/** The hierarchies in which containers have a cgroup: v2 alone where it has the controllers, else all of v1. */
export function workingHierarchies(all: Hierarchies): readonly Hierarchy[] {
  return all.mode === "unified" && all.v2 !== undefined ? [all.v2] : all.v1;
}

function unescapeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
