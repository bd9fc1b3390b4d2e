import type { OciResources } from "../oci/spec.ts";
import type { Hierarchy } from "./hierarchies.ts";

/** The files of one hierarchy, with their values, that express the limits. */
export function resourceFiles(hierarchy: Hierarchy, resources: OciResources | undefined): [string, string][] {
  if (resources === undefined) {
    return [];
  }
  const files = hierarchy.controllers.length === 0 ? v2Files(resources) : v1Files(hierarchy.controllers, resources);
  return files.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

type File = [string, string | undefined];

function v1Files(controllers: readonly string[], { cpu, memory, pids }: OciResources): File[] {
  const files: File[] = [];
  if (controllers.includes("cpu")) {
    files.push(["cpu.shares", positive(cpu?.shares)]);
    files.push(["cpu.cfs_period_us", positive(cpu?.period)]);
    files.push(["cpu.cfs_quota_us", nonZero(cpu?.quota)]);
  }
  if (controllers.includes("cpuset")) {
    files.push(["cpuset.cpus", cpu?.cpus || undefined]);
    files.push(["cpuset.mems", cpu?.mems || undefined]);
  }
  if (controllers.includes("memory")) {
    files.push(["memory.limit_in_bytes", nonZero(memory?.limit)]);
    // Memory and swap together.
    files.push(["memory.memsw.limit_in_bytes", nonZero(memory?.swap)]);
    files.push(["memory.soft_limit_in_bytes", nonZero(memory?.reservation)]);
  }
  if (controllers.includes("pids")) {
    files.push(["pids.max", limit(pids?.limit)]);
  }
  return files;
}

function v2Files({ cpu, memory, pids }: OciResources): File[] {
  const period = cpu?.period || 100_000;
  return [
    ["cpu.weight", cpu?.shares ? String(weightOfShares(cpu.shares)) : undefined],
    ["cpu.max", cpu?.quota ? `${cpu.quota > 0 ? cpu.quota : "max"} ${period}` : undefined],
    ["cpuset.cpus", cpu?.cpus || undefined],
    ["cpuset.mems", cpu?.mems || undefined],
    ["memory.max", limit(memory?.limit)],
    ["memory.swap.max", swapAlone(memory)],
    ["memory.low", limit(memory?.reservation)],
    ["pids.max", limit(pids?.limit)],
  ];
}

/** The spec's `swap` is memory and swap together, as cgroup v1 has it; cgroup v2 counts them apart. */
function swapAlone({ limit, swap }: NonNullable<OciResources["memory"]> = {}): string | undefined {
  if (swap === undefined || swap === 0) {
    return undefined;
  }
  return swap < 0 || limit === undefined || limit <= 0 ? "max" : String(Math.max(0, swap - limit));
}

/** cpu.shares 2..262144 to cpu.weight 1..10000, as every OCI runtime maps them. */
export function weightOfShares(shares: number): number {
  const clamped = Math.min(Math.max(shares, 2), 262_144);
  return 1 + Math.floor(((clamped - 2) * 9999) / 262_142);
}

function positive(value: number | undefined): string | undefined {
  return value !== undefined && value > 0 ? String(value) : undefined;
}

function nonZero(value: number | undefined): string | undefined {
  return value === undefined || value === 0 ? undefined : String(value);
}

function limit(value: number | undefined): string | undefined {
  return value === undefined || value === 0 ? undefined : value < 0 ? "max" : String(value);
}
