import { cgroupPathsOf } from "../cgroup/cgroup-paths.ts";
import { type CgroupMetrics, readCgroupMetrics } from "../cgroup/stats.ts";
import { notFound } from "../error/sandbox-error.ts";
import { now, type Timestamp } from "../sandbox/exit.ts";
import type { SandboxRegistry } from "../sandbox/sandbox-registry.ts";

/** What a sandbox as a whole uses: the cgroup of its own process. */
export interface SandboxMetrics {
  /** NOT_FOUND if there is no such sandbox, or it has no process. */
  read(namespace: string, id: string): Promise<CgroupMetrics>;
  now(): Timestamp;
}

export function createSandboxMetrics(registry: SandboxRegistry): SandboxMetrics {
  return {
    now,
    async read(namespace, id) {
      const { pid } = registry.get(namespace, id).record;
      const paths = pid === 0 ? undefined : cgroupPathsOf(pid);
      if (paths === undefined) {
        throw notFound(`cgroup does not exist: sandbox ${id} has no process`);
      }
      return await readCgroupMetrics(paths);
    },
  };
}
