import * as sys from "sys";

const PR_SCHED_CORE = 62;
const PR_SCHED_CORE_CREATE = 1;

/**
 * Where containerd's environment has SCHED_CORE, the shim and all that descends from it share a CPU core's threads with
 * nobody else, as with the runc shim. The cookie made here for this process goes to the shim that it forks.
 */
export function isolateCores(env: ReadonlyMap<string, string>): void {
  if (!env.get("SCHED_CORE")) return;
  try {
    sys.prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE);
  } catch (error) {
    throw new Error(`SCHED_CORE: this kernel has no core scheduling: ${(error as Error).message}`);
  }
}
