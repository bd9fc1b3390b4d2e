import { readFileSync } from "node:fs";
import { type CgroupPaths, cgroupPathsOf, sameCgroups } from "@kuasar/framework/cgroup/cgroup-paths";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskDetails } from "./task-details.ts";

/**
 * The cgroups that a container was given; undefined if it has none of its own, but runs in those of the monitor that
 * is its parent. Whoever signals or counts the members of a cgroup must never reach beyond the container.
 */
export function findOwnCgroup(initPid: number): CgroupPaths | undefined {
  const paths = cgroupPathsOf(initPid);
  if (paths === undefined || paths.common === "/") {
    return undefined;
  }
  const parent = cgroupPathsOf(parentOf(initPid));
  return parent !== undefined && sameCgroups(paths, parent) ? undefined : paths;
}

/**
 * Where the processes of a container are that was perhaps never finished: in the cgroup its spec asked for, if that
 * is plainly the container's own.
 */
export function cgroupOfUnfinished(task: Task, { cgroup, wantedCgroup }: TaskDetails): CgroupPaths | undefined {
  if (cgroup !== undefined) {
    return cgroup;
  }
  const own = wantedCgroup.split("/").at(-1)?.includes(task.id) === true;
  return own ? { common: wantedCgroup } : undefined;
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}
