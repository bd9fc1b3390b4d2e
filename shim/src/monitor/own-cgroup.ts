import { readTextIfThere } from "../platform/files.ts";

let found: string | undefined;

/** A cgroup.procs file that names this process: of the first hierarchy that /proc tells of. "" where there is none. */
export function ownCgroupProcs(): string {
  found ??= find();
  return found;
}

function find(): string {
  const mounts = (readTextIfThere("/proc/self/mountinfo") ?? "").split("\n");
  for (const line of (readTextIfThere("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const mount of mounts) {
      const [before, after] = mount.split(" - ");
      const point = before?.split(" ")[4];
      const type = after?.split(" ")[0];
      const options = after?.split(" ")[2]?.split(",") ?? [];
      const first = controllers.split(",")[0] as string;
      if (type === "cgroup2" ? controllers === "" : type === "cgroup" && options.includes(first)) {
        return `${point}${path === "/" ? "" : path}/cgroup.procs`;
      }
    }
  }
  return "";
}
