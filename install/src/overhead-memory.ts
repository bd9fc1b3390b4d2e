import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { hasEnded, type Process, processTable, proportionalMemory } from "./process-table.ts";

/** Proportional set sizes in KiB of everything behind containerd but the workload. */
export interface OverheadMemory {
  /** Shims, pause processes, sandboxers and their helpers. */
  readonly total: number;
  /** One shim, on average. */
  readonly shim: number;
  readonly processes: number;
}

export interface OverheadScope {
  readonly podIds: readonly string[];
  /** The process that all pods share, where there is one. */
  readonly sandboxerPid: number | undefined;
  /** The workload: its processes are told by their cgroups, which carry the container's id. */
  readonly containerIds: readonly string[];
}

export function overheadMemory(scope: OverheadScope): OverheadMemory {
  const all = new Map(processTable().map((process) => [process.pid, process]));
  const overhead = [...all.values()].filter((process) => isOverhead(process, scope, all));
  const shims = overhead.filter(({ argv }) => basename(argv[0] ?? "").startsWith("containerd-shim-"));
  return {
    total: sum(overhead),
    shim: shims.length > 0 ? sum(shims) / shims.length : 0,
    processes: overhead.length,
  };
}

function sum(processes: readonly Process[]): number {
  return processes.reduce((total, { pid }) => total + proportionalMemory(pid), 0);
}

/** Shims name their pod among their arguments, pause processes are in its cgroup, helpers descend from the sandboxer. */
function isOverhead(process: Process, scope: OverheadScope, all: ReadonlyMap<number, Process>): boolean {
  const { podIds, sandboxerPid, containerIds } = scope;
  if (process.state === "Z") return false;
  const groups = cgroupsOf(process.pid);
  if (containerIds.some((id) => groups.includes(id))) return false;
  if (podIds.some((id) => process.argv.includes(id) || groups.includes(id))) return true;
  for (let current: Process | undefined = process; current; current = all.get(current.ppid)) {
    if (current.pid === sandboxerPid) return true;
  }
  return false;
}

function cgroupsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8");
  } catch (error) {
    if (hasEnded(error)) return "";
    throw error;
  }
}
