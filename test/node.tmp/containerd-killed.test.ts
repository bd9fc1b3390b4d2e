import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { endContainer, endsOnRequest, exitCodeOf, pidOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { runtimeCases } from "./runtime-case.ts";

for (const runtimeCase of runtimeCases) {
  describe(`kill -9 of containerd above ${runtimeCase.title}`, function () {
    this.timeout(120_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("loses no pod: they are ready after its restart, exec works, and they go when removed", async () => {
      const pods = await Promise.all([lab().runPod(), lab().runPod({ network: "cni" }), lab().runPod()]);
      const running = await Promise.all(pods.map(async (pod) => ({ pod, containerId: await pod.start() })));
      const pids = await Promise.all(running.map(({ containerId }) => pidOf(lab(), containerId)));
      await lab().containerd.kill("SIGKILL");
      await lab().containerd.start();
      for (const [index, { pod, containerId }] of running.entries()) {
        assert.equal((await pod.status()).state, runtime.v1.PodSandboxState.SANDBOX_READY);
        assert.equal((await pod.exec(containerId, "echo", "still here")).stdout, "still here\n");
        assert.equal(await pidOf(lab(), containerId), pids[index]);
      }
      await Promise.all(pods.map((pod) => pod.remove()));
    });

    it("gives the exit code of a container that ended after the restart", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ command: endsOnRequest });
      const pid = await pidOf(lab(), containerId);
      await lab().containerd.kill("SIGKILL");
      await lab().containerd.start();
      await endContainer(pid);
      assert.equal(await exitCodeOf(pod, containerId), 7);
      await pod.remove();
    });

    it("gives the exit code of a container that ended while containerd was away", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ command: endsOnRequest });
      const pid = await pidOf(lab(), containerId);
      await lab().containerd.kill("SIGKILL");
      await endContainer(pid);
      await lab().containerd.start();
      // containerd takes a task without a pid for a leaked shim, unless the shim still lists the ended one
      // (runtime/v2/manager.go, loadShims). Its own shim does not, and the code is lost.
      assert.equal(await exitCodeOf(pod, containerId), runtimeCase.sandboxer ? 7 : 255);
      await pod.remove();
    });

    it("lets new containers into an old pod", async () => {
      const pod = await lab().runPod();
      await lab().containerd.kill("SIGKILL");
      await lab().containerd.start();
      const containerId = await waitUntil(() => pod.start(), { what: "a container in the old pod", timeoutMs: 10_000 });
      assert.equal((await pod.exec(containerId, "true")).exitCode, 0);
      await pod.remove();
    });
  });
}
