import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorText, failedPrecondition } from "../error/sandbox-error.ts";
import type { Monitor, RunResult } from "../monitor/monitor.ts";
import type { OciResources } from "../oci/spec.ts";
import { cgroupPathsOf } from "./cgroup-paths.ts";
import { weightOfShares } from "./resource-files.ts";

const TIMEOUT_S = 25;
const POLL_MS = 2;
const MICROSECONDS_A_SECOND = 1_000_000;
const DEFAULT_PERIOD_US = 100_000;

/** A property of a unit as busctl is told it: name, D-Bus signature, value. */
type Property = readonly [name: string, signature: string, ...value: string[]];

/** sd_booted(3) */
export const systemdRuns = (): boolean => existsSync("/run/systemd/system");

/**
 * Has systemd make the cgroup `path`, which ends with `x.slice/y.scope`, and put a process into it; the cgroups of a
 * host with systemd are its own to make (https://systemd.io/CGROUP_DELEGATION). The scope goes with its last process.
 * FAILED_PRECONDITION, with systemd's own words, if it refuses.
 */
export async function startScope(
  monitor: Monitor,
  path: string,
  pid: number,
  resources: OciResources | undefined,
): Promise<void> {
  const deadline = Date.now() + TIMEOUT_S * 1000;
  const refused = (why: string) => failedPrecondition(`systemd does not make the scope ${path}: ${why}`);
  const argv = startScopeCommand(path, pid, resources);
  let result: RunResult;
  try {
    result = await monitor.run({
      argv,
      env: [`PATH=${process.env.PATH ?? ""}`],
      cwd: "/",
      timeoutMs: TIMEOUT_S * 1000,
    });
  } catch (error) {
    throw refused(errorText(error));
  }
  if (result.exitStatus !== 0) {
    throw refused(Buffer.from(result.stderr).toString().trim());
  }
  // The answer says that there is a job; the process is where it belongs a moment later.
  while (cgroupPathsOf(pid)?.common !== path) {
    if (Date.now() > deadline) {
      throw refused(`process ${pid} is still in ${cgroupPathsOf(pid)?.common ?? "no cgroup"}`);
    }
    await sleep(POLL_MS);
  }
}

/** https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html, StartTransientUnit */
export function startScopeCommand(path: string, pid: number, resources: OciResources | undefined): string[] {
  const unit = basename(path);
  const properties: Property[] = [
    ["Description", "s", `kuasar pod ${unit}`],
    ["Slice", "s", basename(dirname(path)) || "-.slice"],
    // What has failed is forgotten too, so that the name is free again.
    ["CollectMode", "s", "inactive-or-failed"],
    ["Delegate", "b", "true"],
    ["DefaultDependencies", "b", "false"],
    ["CPUAccounting", "b", "true"],
    ["MemoryAccounting", "b", "true"],
    ["TasksAccounting", "b", "true"],
    ["PIDs", "au", "1", String(pid)],
    ...limits(resources),
  ];
  const manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
  return [
    ...["busctl", "--system", "--quiet", `--timeout=${TIMEOUT_S}`, "call", ...manager],
    ...["StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail"],
    ...[String(properties.length), ...properties.flat()],
    "0",
  ];
}

function limits(resources: OciResources | undefined): Property[] {
  const { cpu, memory, pids } = resources ?? {};
  const properties: Property[] = [];
  if (cpu?.shares) properties.push(["CPUWeight", "t", String(weightOfShares(cpu.shares))]);
  if (cpu?.quota && cpu.quota > 0) {
    const perSecond = Math.ceil((cpu.quota * MICROSECONDS_A_SECOND) / (cpu.period || DEFAULT_PERIOD_US));
    properties.push(["CPUQuotaPerSecUSec", "t", String(perSecond)]);
  }
  if (memory?.limit && memory.limit > 0) properties.push(["MemoryMax", "t", String(memory.limit)]);
  if (memory?.reservation && memory.reservation > 0) properties.push(["MemoryLow", "t", String(memory.reservation)]);
  if (pids?.limit && pids.limit > 0) properties.push(["TasksMax", "t", String(pids.limit)]);
  return properties;
}
