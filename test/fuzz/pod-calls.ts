import { SandboxService, TaskService } from "@kuasar/proto/definitions";
import fc from "fast-check";
import type { FramePeer } from "./frame-peer.ts";
import { type HostileCall, hostileCalls, requireHonest, toCall } from "./hostile-call.ts";

export type PodCall = { readonly sandbox: HostileCall } | { readonly task: HostileCall };

const inBytes = (text: string) => ({ "base64:": Buffer.from(text).toString("base64") });
const PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process";

const SENSIBLE = {
  id: ["t1", "t1", "t2", "pod"],
  execId: ["", "", "", "e1", "e2"],
  sandboxId: ["pod"],
  bundle: ["$BUNDLES/t1", "$BUNDLES/t2", "$BUNDLES/pod"],
  bundlePath: ["", "$BUNDLES/pod"],
  netnsPath: ["", "", "/fails"],
  signal: [9, 9, 15, 0],
  all: [false, true],
  path: ["$BUNDLES/image"],
  spec: [{ typeUrl: PROCESS, value: inBytes('{"args":["/bin/true"]}') }],
  resources: [{ typeUrl: "x", value: inBytes("{}") }],
};

/** The calls of one pod, of which the first ones may be given: without a pod, nothing is refused for a second reason. */
export function podCalls(
  metadata: Readonly<Record<string, string>>,
  beginning: readonly PodCall[],
  without: readonly string[] = [],
): fc.Arbitrary<readonly PodCall[]> {
  const sandboxMetadata = { ...metadata };
  delete sandboxMetadata["kuasar-sandbox-id"];
  const sandbox = hostileCalls({ service: SandboxService, sensible: SENSIBLE, metadata: sandboxMetadata, without });
  const task = hostileCalls({ service: TaskService, sensible: SENSIBLE, metadata, without });
  const call: fc.Arbitrary<PodCall> = fc.oneof(
    { weight: 1, arbitrary: sandbox.map((asked) => ({ sandbox: asked })) },
    { weight: 3, arbitrary: task.map((asked) => ({ task: asked })) },
  );
  const calls = fc.array(call, { minLength: 1, maxLength: 15 });
  return fc.tuple(fc.nat({ max: 7 }), calls).map(([n, asked]) => (n === 0 ? asked : [...beginning, ...asked]));
}

/** Makes the calls, and answers with the Waits among them, which are over when nothing is left to wait for. */
export async function makeCalls(
  peer: FramePeer,
  calls: readonly PodCall[],
  places: Readonly<Record<string, string>>,
): Promise<Promise<void>[]> {
  const waits: Promise<void>[] = [];
  const others: Promise<void>[] = [];
  for (const asked of calls) {
    const [service, call] = "task" in asked ? [TaskService, asked.task] : [SandboxService, asked.sandbox];
    const answered = peer.call(toCall(service, call, places)).then((answer) => requireHonest(answer, call.method));
    answered.catch(() => undefined);
    if (call.method.startsWith("Wait")) waits.push(answered);
    else if (call.alongside) others.push(answered);
    else await answered;
  }
  await Promise.all(others);
  return waits;
}
