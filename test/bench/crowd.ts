import { type OverheadMemory, overheadMemory } from "@kuasar/install/overhead-memory";
import { Pod } from "@kuasar/install/pod";
import type { Arena, Contestant } from "./contestants.ts";
import { timed } from "./statistics.ts";

export interface Crowd {
  /** Wall time until every pod has its container running, in ms. */
  readonly startMs: number;
  /** Wall time until every pod is stopped and removed, in ms. */
  readonly stopMs: number;
  readonly memory: OverheadMemory;
}

/** Many pods, each with a container, all asked for at once. */
export async function measureCrowd(arena: Arena, contestant: Contestant, size: number): Promise<Crowd> {
  const { cri, cgroupParent } = arena.containerd;
  const everyone = Array.from({ length: size });
  const start = await timed(() =>
    Promise.all(
      everyone.map(async () => {
        const pod = await Pod.run(cri, { handler: contestant.handler, cgroupParent });
        return { pod, containerId: await pod.start({ command: ["sleep", "100000"] }) };
      }),
    ),
  );
  const containerIds = start.value.map(({ containerId }) => containerId);
  const memory = overheadMemory({
    podIds: start.value.map(({ pod }) => pod.id),
    sandboxerPid: contestant.sandboxerPid,
    containerIds,
  });
  const stop = await timed(() => Promise.all(start.value.map(({ pod }) => pod.remove())));
  return { startMs: start.ms, stopMs: stop.ms, memory };
}
