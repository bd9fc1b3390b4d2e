import { cgroupFolder } from "../platform/cgroup-folder.ts";

let found: string | undefined;

/** A cgroup.procs file that names this process; "" where there is none. */
export function ownCgroupProcs(): string {
  if (found === undefined) {
    const own = cgroupFolder("self", "pids") ?? cgroupFolder("self", "memory");
    found = own ? `${own.folder}/cgroup.procs` : "";
  }
  return found;
}
