import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { endContainer, endsOnRequest, exitCodeOf, pidOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { kuasarCases } from "./runtime-case.ts";

for (const runtimeCase of kuasarCases) {
  describe(`kill -9 of the sandboxer behind ${runtimeCase.title}`, function () {
    this.timeout(120_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("loses no pod: it is ready after the restart, exec works, and it goes when removed", async () => {
      const pod = await lab().runPod({ network: "cni" });
      const containerId = await pod.start();
      const pid = await pidOf(lab(), containerId);
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      assert.equal((await pod.status()).state, runtime.v1.PodSandboxState.SANDBOX_READY);
      assert.equal((await afterReconnect(() => pod.exec(containerId, "echo", "here"))).stdout, "here\n");
      assert.equal(await pidOf(lab(), containerId), pid);
      const second = await pod.start();
      assert.equal((await pod.exec(second, "true")).exitCode, 0);
      await pod.remove();
    });

    it("gives the exit code of a container that ended after the restart", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ command: endsOnRequest });
      const pid = await pidOf(lab(), containerId);
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      await endContainer(pid);
      assert.equal(await exitCodeOf(pod, containerId), 7);
      await pod.remove();
    });

    it("gives the exit code of a container that ended while the sandboxer was away", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ command: endsOnRequest });
      const pid = await pidOf(lab(), containerId);
      await lab().sandboxer.kill("SIGKILL");
      await endContainer(pid);
      await lab().sandboxer.start();
      assert.equal(await exitCodeOf(pod, containerId), 7);
      await pod.remove();
    });

    it("together with containerd's loses no pod either", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start();
      await lab().sandboxer.kill("SIGKILL");
      await lab().containerd.kill("SIGKILL");
      await lab().sandboxer.start();
      await lab().containerd.start();
      assert.equal((await afterReconnect(() => pod.exec(containerId, "echo", "here"))).stdout, "here\n");
      await pod.remove();
    });

    it("writes on to the container's log", async () => {
      const pod = await lab().runPod();
      const script = "while [ ! -e /tmp/end ]; do sleep 0.05; done; echo said later; exit 7";
      const containerId = await pod.start({ name: "later", command: ["sh", "-c", script] });
      const pid = await pidOf(lab(), containerId);
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      await endContainer(pid);
      await exitCodeOf(pod, containerId);
      const said = () => lab().podLog("later").includes("stdout F said later");
      await waitUntil(said, { what: "the line in the log", timeoutMs: 5000 });
      await pod.remove();
    });
  });
}

/** Callers may see a moment of UNAVAILABLE while the shim connects again. */
function afterReconnect<T>(call: () => Promise<T>): Promise<T> {
  return waitUntil(call, { what: "the shim to reach its sandboxer again", timeoutMs: 5000 });
}
