import { Pod } from "@kuasar/install/pod";
import type { Contest, Contestant } from "./contestants.ts";
import { median, timed } from "./statistics.ts";

/** Milliseconds containerd and what is behind it take for each CRI call of a pod's life, the client's time taken off. */
export interface CallTimes {
  readonly runPod: number;
  readonly create: number;
  readonly start: number;
  readonly exec: number;
  readonly stopPod: number;
  readonly removePod: number;
}

export type CallSamples = { readonly [K in keyof CallTimes]: number[] };

export function noSamples(): CallSamples {
  return { runPod: [], create: [], start: [], exec: [], stopPod: [], removePod: [] };
}

/** What a call costs that does nothing: the connection, the codecs, containerd's own gRPC. */
export async function emptyCall({ containerd }: Contest): Promise<number> {
  const samples: number[] = [];
  for (let index = 0; index < 50; index++) samples.push((await timed(() => containerd.cri.runtime.version({}))).ms);
  return median(samples);
}

/** One pod with one container, from its beginning to its end, on the machine's network. */
export async function measureCalls(contest: Contest, contestant: Contestant, samples: CallSamples): Promise<void> {
  const { cri, cgroupParent } = contest.containerd;
  const run = await timed(() => Pod.run(cri, { handler: contestant.handler, cgroupParent }));
  const pod = run.value;
  const create = await timed(() => pod.create());
  const containerId = create.value;
  const start = await timed(() => cri.runtime.startContainer({ containerId }));
  const exec = await timed(() => pod.exec(containerId, "true"));
  const stop = await timed(() => pod.stop());
  const remove = await timed(() => cri.runtime.removePodSandbox({ podSandboxId: pod.id }));
  samples.runPod.push(run.ms);
  samples.create.push(create.ms);
  samples.start.push(start.ms);
  samples.exec.push(exec.ms);
  samples.stopPod.push(stop.ms);
  samples.removePod.push(remove.ms);
}

export function callTimes(samples: CallSamples, emptyMs: number): CallTimes {
  const net = (values: readonly number[]) => Math.max(0, median(values) - emptyMs);
  return {
    runPod: net(samples.runPod),
    create: net(samples.create),
    start: net(samples.start),
    exec: net(samples.exec),
    stopPod: net(samples.stopPod),
    removePod: net(samples.removePod),
  };
}
