import { assert } from "chai";
import { execa } from "execa";
import { exitCodeOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import type { RuntimeCase } from "./runtime-case.ts";

const nodeShim: RuntimeCase = {
  title: "the kuasar shim on Node",
  handler: "kuasar-node",
  type: "io.containerd.kuasar-v2.node",
  shim: "containerd-shim-kuasar-v2-node",
  criSandboxes: false,
  sandboxer: true,
};

describe("The kuasar shim on Node", function () {
  this.timeout(60_000);
  const lab = useLab(nodeShim);

  afterEach(() => lab().assertNothingLeft());

  it("runs a container that says hello", async () => {
    const { stdout } = await lab().containerd.ctr(lab().ctrRunArgs(["--rm"], "hello", "echo", "hello world"));
    assert.equal(stdout, "hello world");
  });

  it("ends with the container's exit code", async () => {
    const args = lab().ctrRunArgs(["--rm"], "seven", "sh", "-c", "exit 7");
    assert.equal((await lab().containerd.ctr(args, { reject: false })).exitCode, 7);
  });

  it("gives a container a terminal", async () => {
    const command = lab().containerd.ctrCommand(lab().ctrRunArgs(["--rm", "--tty"], "terminal", "tty"));
    const { stdout } = await execa("script", ["--quiet", "--return", "--command", command.join(" "), "/dev/null"]);
    assert.match(stdout, /\/dev\/(pts\/\d|console)/);
  });

  it("runs a pod with a container, executes a command in it, and stops it", async () => {
    const pod = await lab().runPod({ network: "cni" });
    const containerId = await pod.start({ command: ["sleep", "1000"] });
    const result = await pod.exec(containerId, "sh", "-c", "echo out; echo err >&2; exit 3");
    assert.deepEqual(result, { stdout: "out\n", stderr: "err\n", exitCode: 3 });
    const { cri } = lab().containerd;
    await cri.runtime.stopContainer({ containerId, timeout: 0 });
    assert.equal(await exitCodeOf(pod, containerId), 137);
    await pod.stop();
    await pod.remove();
  });

  it("leaves nothing behind when it is killed", async () => {
    const pod = await lab().runPod();
    const containerId = await pod.start();
    process.kill(lab().shimOf(pod.id).pid, "SIGKILL");
    assert.notEqual(await exitCodeOf(pod, containerId), 0);
    await pod.remove();
  });
});
