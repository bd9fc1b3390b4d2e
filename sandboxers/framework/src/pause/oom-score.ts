import { readFileSync } from "node:fs";

const CAP_SYS_RESOURCE = 24n;

/**
 * The oom_score_adj that can be had: lowering it below one's own needs CAP_SYS_RESOURCE, which a host that is itself a
 * container often lacks. Not getting as low as asked for is no reason to refuse a pod.
 */
export function attainableOomScoreAdj(asked: number): number {
  const own = Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
  return asked >= own || mayLowerOomScore() ? asked : own;
}

let allowed: boolean | undefined;

function mayLowerOomScore(): boolean {
  if (allowed === undefined) {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
    allowed = ((BigInt(`0x${effective}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
  }
  return allowed;
}
