import type { SpawnRequest } from "../monitor/monitor.ts";
import { attainableOomScoreAdj } from "./oom-score.ts";
import type { PausePlan } from "./pause-plan.ts";

/** What the monitor is asked for: `program -P`, which does nothing but reap orphans, in the plan's namespaces. */
export function pauseSpawnRequest(
  key: string,
  program: string,
  plan: PausePlan,
  cgroupProcs: readonly string[],
): SpawnRequest {
  return {
    key,
    argv: [program, "-P"],
    env: [],
    cwd: "/",
    namespaces: plan.namespaces,
    uidMappings: plan.uidMappings,
    gidMappings: plan.gidMappings,
    cgroupProcs,
    hostname: plan.hostname,
    domainname: plan.domainname,
    sysctls: plan.sysctls,
    credentials: {
      uid: plan.uid,
      gid: plan.gid,
      additionalGids: plan.additionalGids,
      capabilities: [],
      noNewPrivileges: true,
    },
    emptyRoot: true,
    ...(plan.oomScoreAdj !== undefined && { oomScoreAdj: attainableOomScoreAdj(plan.oomScoreAdj) }),
    parentDeathSignal: 0,
  };
}
