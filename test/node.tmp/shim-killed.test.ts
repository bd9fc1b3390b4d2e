import { rmSync } from "node:fs";
import type { Pod } from "@kuasar/install/pod";
import { criNamespace } from "@kuasar/install/private-containerd";
import { readProcess } from "@kuasar/install/process-table";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { exitCodeOf, pidOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { runtimeCases } from "./runtime-case.ts";

const { SANDBOX_NOTREADY, SANDBOX_READY } = runtime.v1.PodSandboxState;

for (const runtimeCase of runtimeCases) {
  describe(`kill -9 of the shim: ${runtimeCase.title}`, function () {
    this.timeout(120_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("ends that pod wholly, and no other", async () => {
      const [pod, other] = [await lab().runPod({ network: "cni" }), await lab().runPod()];
      const containerIds = [await pod.start(), await pod.start({ command: ["sleep", "1000"] })];
      const spared = await other.start();
      const pids = await Promise.all(containerIds.map((id) => pidOf(lab(), id)));
      await killShim(pod);

      for (const id of containerIds) assert.notEqual(await exitCodeOf(pod, id), 0);
      const notReady = async () => (await pod.status()).state === SANDBOX_NOTREADY;
      await waitUntil(notReady, { what: "the pod to be not ready", timeoutMs: 20_000 });
      const gone = () => pids.every((pid) => readProcess(pid) === undefined);
      await waitUntil(gone, { what: "the pod's processes to be gone", timeoutMs: 20_000 });

      assert.equal((await other.status()).state, SANDBOX_READY);
      assert.equal((await other.exec(spared, "echo", "spared")).stdout, "spared\n");
      await pod.remove();
      await other.remove();
    });

    it("lets a pod of the same name be run at once", async () => {
      const pod = await lab().runPod({ name: "again" });
      await killShim(pod);
      await pod.remove();
      const next = await lab().runPod({ name: "again" });
      assert.equal((await next.status()).state, SANDBOX_READY);
      await next.remove();
    });

    async function killShim(pod: Pod): Promise<void> {
      const socket = lab().shimSocket(criNamespace, pod.id);
      process.kill(lab().shimOf(pod.id).pid, "SIGKILL");
      if (runtimeCase.sandboxer && runtimeCase.sandboxMode !== "shim") return;
      // With sandbox_mode = "shim" containerd's stop fails by "ttrpc: closed" until it has seen that the shim is gone.
      await waitUntil(async () => (await pod.status()).state === SANDBOX_NOTREADY, {
        what: "containerd to notice",
        timeoutMs: 20_000,
      });
      // containerd's own shim forgets its socket when it is killed; ours must not.
      if (!runtimeCase.sandboxer) rmSync(socket, { force: true });
    }
  });
}
