import * as sys from "sys";
import { cgroupMounts } from "./platform/cgroup-folder.ts";
import { writeKernelFile } from "./platform/files.ts";

/**
 * Moves this process, and so the shim that it forks, into the cgroup that the option ShimCgroup names; "" is none. It
 * must be there already: on cgroup v1 in one hierarchy at least, which are the only ones where some are mounted, as the
 * runc shim has it.
 */
export function enterShimCgroup(path: unknown): void {
  if (path === undefined || path === "") return;
  if (typeof path !== "string" || !path.startsWith("/") || path.split("/").includes("..")) {
    throw new Error(`runtime options: ShimCgroup: expected an absolute path without "..", got ${JSON.stringify(path)}`);
  }
  const mounts = cgroupMounts();
  const version = mounts.some((mount) => mount.version === 1) ? 1 : 2;
  const folders = mounts
    .filter((mount) => mount.version === version)
    .map(({ folder }) => `${folder}${path}`)
    .filter((folder) => sys.stat(folder));
  if (folders.length === 0) throw new Error(`ShimCgroup: no cgroup ${path} in any hierarchy of cgroup v${version}`);
  // A thread that moves itself, written as 0, takes no lock; this process has but one.
  const file = version === 1 ? "tasks" : "cgroup.procs";
  for (const folder of folders) writeKernelFile(`${folder}/${file}`, "0");
}
