import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ContainerConfig } from "@kuasar/install/pod";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { exitCodeOf, podPid } from "../container-end.ts";
import type { Lab } from "../lab.ts";
import { refusal } from "./refusal.ts";
import { withPod } from "./with-pod.ts";

const { CONTAINER_CREATED_EVENT, CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT, CONTAINER_DELETED_EVENT } =
  runtime.v1.ContainerEventType;
const { SANDBOX_NOTREADY } = runtime.v1.PodSandboxState;
const { CONTAINER_RUNNING } = runtime.v1.ContainerState;
const RESTARTS = 8;
const BIG_LOG_LINES = 50_000;

export function containersTests(lab: () => Lab): void {
  const cri = () => lab().containerd.cri.runtime;

  it("starts a container again and again in one pod", () =>
    withPod(lab(), {}, async (pod) => {
      let before: string | undefined;
      for (let attempt = 0; attempt < RESTARTS; attempt++) {
        const containerId = await pod.start({
          name: "again",
          command: ["sh", "-c", `exit ${attempt}`],
          configure: (config) => Object.assign(config.metadata ?? {}, { attempt }),
        });
        assert.equal(await exitCodeOf(pod, containerId), attempt);
        if (before) await cri().removeContainer({ containerId: before });
        before = containerId;
      }
    }));

  it("runs init containers one after the other, and what they leave is there for the others", () =>
    withPod(lab(), {}, async (pod) => {
      const hostPath = join(lab().directory, "init");
      const configure = (config: ContainerConfig) =>
        void Object.assign(config, { mounts: [{ hostPath, containerPath: "/shared" }] });
      for (const name of ["first", "second"]) {
        const id = await pod.start({ command: ["sh", "-c", `echo ${name} >> /shared/order`], configure });
        assert.equal(await exitCodeOf(pod, id), 0);
        assert.equal((await pod.containerStatus(id)).reason, "Completed");
      }
      const main = await pod.start({ configure });
      assert.equal((await pod.exec(main, "cat", "/shared/order")).stdout, "first\nsecond\n");
    }));

  it("leaves a pod's containers alone when the process that holds its namespaces is killed", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start();
      await killSandbox(lab(), pod.id);
      const notReady = async () => (await pod.status()).state === SANDBOX_NOTREADY;
      await waitUntil(notReady, { what: "the pod to be seen as not ready", timeoutMs: 10_000 });
      assert.equal((await pod.exec(containerId, "echo", "alive")).stdout, "alive\n");
      assert.equal((await pod.containerStatus(containerId)).state, CONTAINER_RUNNING);
      await pod.stop();
      assert.equal(await exitCodeOf(pod, containerId), 137);
    }));

  it("says how a container has ended, whether by itself or by a signal", () =>
    withPod(lab(), {}, async (pod) => {
      const failed = await pod.start({ command: ["sh", "-c", "exit 9"] });
      assert.equal(await exitCodeOf(pod, failed), 9);
      const killed = await pod.start({ command: ["sh", "-c", "kill -SEGV $$"] });
      // The first process of a pid namespace gets no signal of its own that it does not handle.
      assert.include([0, 139], await exitCodeOf(pod, killed));
      const missing = await refusal(pod.start({ name: "missing", command: ["/missing"] }));
      assert.match(missing, /exec: "\/missing": stat \/missing: no such file or directory/);
      const { containers } = await cri().listContainers({ filter: { podSandboxId: pod.id } });
      const neverRan = containers.find(({ metadata }) => metadata?.name === "missing")?.id ?? "";
      const { exitCode, reason, message, finishedAt } = await pod.containerStatus(neverRan);
      assert.deepInclude({ exitCode, reason }, { exitCode: 128, reason: "StartError" });
      assert.match(message ?? "", /\/missing/);
      assert.isAbove(finishedAt ?? 0, 0);
      assert.equal((await pod.containerStatus(failed)).reason, "Error");
    }));

  it("logs all of a long output, of both streams, and a last line that does not end", () =>
    withPod(lab(), {}, async (pod) => {
      const script = `seq 1 ${BIG_LOG_LINES} & seq 1 ${BIG_LOG_LINES} >&2; wait; printf end`;
      const containerId = await pod.start({ name: "long", command: ["sh", "-c", script] });
      assert.equal(await exitCodeOf(pod, containerId), 0);
      const read = () => lab().podLog("long").trimEnd().split("\n");
      const complete = () => read().length === 2 * BIG_LOG_LINES + 1;
      await waitUntil(complete, { what: "all lines of both streams", timeoutMs: 20_000, intervalMs: 200 });
      const expected = { stdout: 1, stderr: 1 };
      for (const line of read()) {
        const [, stream, tag, text] = line.split(" ");
        if (stream !== "stdout" && stream !== "stderr") throw new Error(`expected a stream's name in ${line}`);
        if (tag === "F") assert.equal(text, String(expected[stream]++));
        else assert.equal(`${stream} ${tag} ${text}`, "stdout P end");
      }
      assert.deepEqual(expected, { stdout: BIG_LOG_LINES + 1, stderr: BIG_LOG_LINES + 1 });
    }));

  it("goes on in a new file when a container's log was moved away", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start({
        name: "rotated",
        command: ["sh", "-c", "echo before; until [ -e /tmp/go ]; do sleep 0.05; done; echo after"],
      });
      await waitUntil(() => lab().podLog("rotated").includes("before"), { what: "the log", timeoutMs: 5000 });
      const path = (name: string) => join(pod.options.logDirectory ?? "", `${name}.log`);
      renameSync(path("rotated"), path("old"));
      await cri().reopenContainerLog({ containerId });
      assert.equal(statSync(path("rotated")).size, 0);
      await pod.exec(containerId, "touch", "/tmp/go");
      await exitCodeOf(pod, containerId);
      await waitUntil(() => / after\n$/.test(lab().podLog("rotated")), { what: "the new log", timeoutMs: 5000 });
      assert.match(lab().podLog("old"), / before\n$/);
    }));

  it("tells those who listen what becomes of a pod and its container", async () => {
    const events: string[] = [];
    const stopListening = lab().containerd.cri.onContainerEvent(({ containerId, containerEventType }) =>
      events.push(`${containerId} ${containerEventType}`),
    );
    try {
      const [podId, containerId] = await withPod(lab(), {}, async (pod) => [pod.id, await pod.start()] as const);
      const expected = [CONTAINER_CREATED_EVENT, CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT];
      const deleted = `${podId} ${CONTAINER_DELETED_EVENT}`;
      await waitUntil(() => events.includes(deleted), { what: "the last event", timeoutMs: 10_000 });
      for (const id of [podId, containerId]) {
        const own = events.filter((event) => event.startsWith(id));
        assert.deepEqual(
          own,
          [...expected, CONTAINER_DELETED_EVENT].map((type) => `${id} ${type}`),
        );
      }
    } finally {
      stopListening();
    }
  });

  it("refuses to checkpoint a container through CRI, which containerd 1.7 does not offer", () =>
    withPod(lab(), {}, async (pod) => {
      const location = join(lab().directory, "checkpoint.tar");
      const checkpoint = cri().checkpointContainer({ containerId: await pod.start(), location });
      assert.match(await refusal(checkpoint), /CheckpointContainer not implemented/);
    }));
}

/** With sandbox_mode shim there is no task that is the pod's. */
async function killSandbox(lab: Lab, podId: string): Promise<void> {
  if (lab.runtimeCase.sandboxMode === "shim") process.kill(await podPid(lab, podId), "SIGKILL");
  else await lab.containerd.ctr(["--namespace", "k8s.io", "task", "kill", "--signal", "SIGKILL", podId]);
}
