import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errno } from "../error/sandbox-error.ts";
import { type CgroupPaths, membersFolder } from "./cgroup-paths.ts";
import { thaw } from "./freezer.ts";

const SIGKILL = 9;
const KILL_ROUNDS = 200;

/** The pids of a cgroup and of all below it, in the host's pid namespace. None if the cgroup is gone. */
export function cgroupMembers(paths: CgroupPaths): number[] {
  const folder = membersFolder(paths);
  const pids: number[] = [];
  if (folder !== undefined) {
    collect(folder, pids);
  }
  return pids;
}

function collect(folder: string, pids: number[]): void {
  let procs: string;
  try {
    procs = readFileSync(join(folder, "cgroup.procs"), "utf8");
  } catch (error) {
    // EOPNOTSUPP: a threaded v2 cgroup, whose processes its parent lists.
    if (["ENOENT", "ENODEV", "EOPNOTSUPP"].includes(errno(error) ?? "")) {
      return;
    }
    throw error;
  }
  for (const line of procs.split("\n")) {
    if (line !== "" && line !== "0") {
      pids.push(Number(line));
    }
  }
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      collect(join(folder, entry.name), pids);
    }
  }
}

/**
 * Sends a signal to every process of the cgroup. For SIGKILL, again until none is left: what forks while it is being
 * killed would escape a single pass. Answers whether the cgroup was empty in the end (always true for other signals).
 */
export async function signalMembers(paths: CgroupPaths, signal: number): Promise<boolean> {
  if (signal !== SIGKILL) {
    sendToAll(cgroupMembers(paths), signal);
    return true;
  }
  for (let round = 0; round < KILL_ROUNDS; round++) {
    const members = cgroupMembers(paths).filter(isAlive);
    if (members.length === 0) {
      return true;
    }
    sendToAll(members, SIGKILL);
    if (round === 0) {
      // A frozen process does not even die.
      thaw(paths);
    }
    await sleep(Math.min(1 + round, 20));
  }
  return false;
}

function sendToAll(pids: number[], signal: number): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself in between.
    }
  }
}

// A zombie stays listed until its parent has read its status.
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const state = stat[stat.lastIndexOf(")") + 2];
    return state !== "Z" && state !== "X";
  } catch {
    return false;
  }
}
