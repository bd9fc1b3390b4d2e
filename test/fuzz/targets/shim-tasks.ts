import { containerd } from "@kuasar/proto/containerd";
import { TaskService } from "@kuasar/proto/definitions";
import type { FramePeer } from "../frame-peer.ts";
import { fuzzTarget, withinDeadline } from "../fuzz-target.ts";
import { requireHonest } from "../hostile-call.ts";
import { makeCalls, type PodCall, podCalls } from "../pod-calls.ts";
import { CONNECT, openShimStage } from "../shim-pod.ts";

const metadata = { "containerd-namespace-ttrpc": "k8s.io" };
const taskCall = (method: string, fields: Record<string, unknown>): PodCall => ({
  task: { method, fields, metadata, alongside: false },
});

const BEGINNING = [taskCall("Create", { id: "pod", bundle: "$BUNDLES/pod" }), taskCall("Start", { id: "pod" })];
/** The shim may go then, and leave calls without an answer. */
const ENDING = ["Shutdown", "ShutdownSandbox"];

const SIGKILL = 9;

/** As containerd ends a pod: each container, then the pause container. What is not there is refused, and that is right. */
async function endPod(peer: FramePeer): Promise<void> {
  const ask = async (method: "kill" | "wait" | "delete", fields: object) => {
    const { name, input } = TaskService.methods[method];
    requireHonest(await peer.call({ service: TaskService.name, method: name, payload: input.encode(fields) }), name);
  };
  for (const id of ["t1", "t2", "pod"]) {
    await ask("kill", { id, signal: SIGKILL, all: true });
    await ask("wait", { id });
    for (const execId of ["e1", "e2", ""]) await ask("delete", { id, execId });
  }
}

/** The Task and Sandbox services of a native shim, a new one for each input, with a sandboxer for tests behind it. */
export const shimTasks = fuzzTarget({
  name: "shim-tasks",
  native: true,
  inputs: podCalls(metadata, BEGINNING, ENDING),
  async open() {
    const stage = await openShimStage();
    return {
      async feed(calls: readonly PodCall[]) {
        const shim = await stage.startPod();
        try {
          const peer = await shim.connect();
          const waits = await makeCalls(peer, calls, stage.places);
          const other = await shim.connect();
          const { code, message, payload } = await other.call(CONNECT);
          const { shimPid } = containerd.task.v2.ConnectResponse.decode(payload);
          if (code !== 0 || shimPid !== shim.pid) throw new Error(`the shim no longer serves: code ${code} ${message}`);
          await endPod(other);
          await withinDeadline("the end of all sandboxes", stage.clear());
          await withinDeadline("the answers to all Waits", Promise.all(waits));
          peer.close();
          other.close();
          await shim.requireSound({ more: 1 });
        } finally {
          // The fault that counts is the first.
          await stage.clear().catch(() => undefined);
          await shim.kill();
        }
      },
      close: () => stage.close(),
    };
  },
});
