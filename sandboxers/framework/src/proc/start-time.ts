import { readFileSync } from "node:fs";

/**
 * When a process started, in clock ticks since boot (field 22 of /proc/PID/stat, proc_pid_stat(5)): with the pid it
 * names one process for ever. 0 if there is none. `pid` is in this process's pid namespace.
 */
export function processStartTime(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field, in parentheses, may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[22 - 3] ?? 0);
  } catch {
    return 0;
  }
}

/** True while that very process exists. */
export function isSameProcess(pid: number, startTime: number): boolean {
  return pid > 0 && startTime > 0 && processStartTime(pid) === startTime;
}
