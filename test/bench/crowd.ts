import { setTimeout as sleep } from "node:timers/promises";
import { type OverheadMemory, overheadMemory } from "@kuasar/install/overhead-memory";
import { Pod } from "@kuasar/install/pod";
import type { Contest, Contestant } from "./contestants.ts";
import { timed } from "./statistics.ts";

export interface Crowd {
  /** Wall time until every pod has its container running, in ms. */
  readonly startMs: number;
  /** Wall time until every pod is stopped and removed, in ms. */
  readonly stopMs: number;
  readonly memory: OverheadMemory;
}

/** What a pod costs while it runs is asked for, not what starting it costs: both shims tidy up when nothing happens. */
const SETTLE_MS = 2_000;
/** How many pods are asked for at a time where only their memory is looked at. */
const AT_A_TIME = 10;

/** Many pods, each with a container, all asked for at once. */
export async function measureCrowd(contest: Contest, contestant: Contestant, size: number): Promise<Crowd> {
  const start = await timed(() => startPods(contest, contestant, size));
  const memory = await settledMemory(contestant, start.value);
  const stop = await timed(() => removePods(start.value));
  return { startMs: start.ms, stopMs: stop.ms, memory };
}

/** The memory of many pods with a container each. */
export async function measureMemory(contest: Contest, contestant: Contestant, size: number): Promise<OverheadMemory> {
  const running: RunningPod[] = [];
  while (running.length < size) {
    running.push(...(await startPods(contest, contestant, Math.min(AT_A_TIME, size - running.length))));
  }
  const memory = await settledMemory(contestant, running);
  while (running.length > 0) await removePods(running.splice(0, AT_A_TIME));
  return memory;
}

interface RunningPod {
  readonly pod: Pod;
  readonly containerId: string;
}

function startPods({ containerd }: Contest, { handler }: Contestant, count: number): Promise<RunningPod[]> {
  const { cri, cgroupParent } = containerd;
  const start = async () => {
    const pod = await Pod.run(cri, { handler, cgroupParent });
    return { pod, containerId: await pod.start({ command: ["sleep", "100000"] }) };
  };
  return Promise.all(Array.from({ length: count }, start));
}

async function removePods(pods: readonly RunningPod[]): Promise<void> {
  await Promise.all(pods.map(({ pod }) => pod.remove()));
}

async function settledMemory({ sandboxerPid }: Contestant, pods: readonly RunningPod[]): Promise<OverheadMemory> {
  await sleep(SETTLE_MS);
  return overheadMemory({
    podIds: pods.map(({ pod }) => pod.id),
    sandboxerPid,
    containerIds: pods.map(({ containerId }) => containerId),
  });
}
