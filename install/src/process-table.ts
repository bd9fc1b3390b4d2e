import { readdirSync, readFileSync } from "node:fs";

export interface Process {
  readonly pid: number;
  readonly ppid: number;
  /** R, S, D, Z, ... as in proc_pid_stat(5). */
  readonly state: string;
  /** Clock ticks after boot; with the pid it names a process for good, as pids come round again. */
  readonly startTime: number;
  readonly argv: readonly string[];
}

/** Every process this one can see, kernel threads left out. */
export function processTable(): Process[] {
  const processes: Process[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const process = readProcess(Number(name));
    if (process) processes.push(process);
  }
  return processes;
}

const ticksPerSecond = 100;

/** Milliseconds of processor time that it has taken so far, in user and in kernel mode; 0 once it has ended. */
export function processorTime(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
  } catch (error) {
    if (hasEnded(error)) return 0;
    throw error;
  }
}

/** PF_KTHREAD, in the flags of proc_pid_stat(5). Their parent is pid 2, which is anybody's in a pid namespace. */
const kernelThread = 0x00200000;

/** @returns undefined when there is no such process (any more). */
export function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, field 2, is in parentheses and may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if ((Number(fields[6]) & kernelThread) !== 0) return undefined;
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    return { pid, ppid: Number(fields[1]), state: fields[0] ?? "", startTime: Number(fields[19]), argv };
  } catch (error) {
    if (hasEnded(error)) return undefined;
    throw error;
  }
}

/** A process may end between its listing and its reading. */
export function hasEnded(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ESRCH";
}

/**
 * Proportional set size in KiB: shared pages count by their share (proc_pid_smaps(5)); 0 once the process ended.
 *
 * @param but what is mapped from a file whose path has this in it is left out
 */
export function proportionalMemory(pid: number, but?: string): number {
  try {
    const maps = readFileSync(`/proc/${pid}/${but === undefined ? "smaps_rollup" : "smaps"}`, "utf8");
    const counted = maps
      .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
      .filter((map) => but === undefined || !firstLine(map).includes(but));
    return counted.reduce((sum, map) => sum + Number(/^Pss:\s+(\d+) kB$/m.exec(map)?.[1] ?? 0), 0);
  } catch (error) {
    if (hasEnded(error)) return 0;
    throw error;
  }
}

const firstLine = (text: string) => text.slice(0, text.indexOf("\n"));
