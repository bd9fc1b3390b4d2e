import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labParts } from "@kuasar/install/parts";
import { Pod } from "@kuasar/install/pod";
import { createPrivateContainerd, type PrivateContainerd } from "@kuasar/install/private-containerd";
import { programPath } from "@kuasar/install/programs";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { execa } from "execa";

const unit = "kuasar-runc.service";
const socket = "/run/runc-sandboxer.sock";

/** What this machine lacks for these tests, which use the one place that systemd and containerd know the unit by. */
function obstacle(): string | undefined {
  if (!existsSync("/run/systemd/system")) return "needs systemd";
  return existsSync(join("/etc/systemd/system", unit)) ? `needs a machine without a ${unit} of its own` : undefined;
}

describe("The sandboxer as a unit of systemd", function () {
  this.timeout(120_000);
  const missing = obstacle();
  if (missing) {
    it(`is restarted, and its pods live on (skipped: ${missing})`);
    return;
  }

  let folder: string;
  let containerd: PrivateContainerd;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "kuasar-unit-"));
    await kuasar("install");
    containerd = await createPrivateContainerd({
      directory: join(folder, "containerd"),
      parts: await labParts(),
      path: [join(folder, "prefix", "bin")],
      runtimes: { kuasar: { runtime_type: "io.containerd.kuasar.v2", options: { sandboxer: "runc" } } },
    });
    await containerd.start();
    await containerd.importImages();
  });

  after(async () => {
    const remains = await containerd?.stop();
    await kuasar("uninstall");
    assert.isFalse(existsSync(join("/etc/systemd/system", unit)));
    await rm("/run/kuasar-runc", { recursive: true, force: true });
    await rm(folder, { recursive: true });
    assert.deepEqual(remains, []);
  });

  const kuasar = (command: string) =>
    execa(programPath("kuasar"), [command, "--prefix", join(folder, "prefix")], { timeout: 60_000 });
  const show = async (property: string) =>
    (await execa("systemctl", ["show", "--value", "--property", property, unit])).stdout.trim();
  const isActive = async () => (await show("ActiveState")) === "active";
  const mainPid = async () => Number(await show("MainPID"));
  const runPod = () => Pod.run(containerd.cri, { handler: "kuasar", cgroupParent: containerd.cgroupParent });
  const echo = async (pod: Pod, containerId: string) => (await pod.exec(containerId, "echo", "here")).stdout;

  it("is active only when it serves", async () => {
    assert.equal(await show("Type"), "notify");
    await execa("systemctl", ["restart", unit]);
    assert.isTrue(await isActive());
    assert.isTrue(existsSync(socket));
  });

  it("is started again after kill -9, and its pods live on", async () => {
    const pod = await runPod();
    const containerId = await pod.start();
    const killed = await mainPid();
    process.kill(killed, "SIGKILL");
    const restarted = async () => (await mainPid()) !== killed && (await isActive());
    await waitUntil(restarted, { what: `${unit} to be started again`, timeoutMs: 20_000, intervalMs: 200 });
    assert.equal((await pod.status()).state, runtime.v1.PodSandboxState.SANDBOX_READY);
    assert.equal(await waitUntil(() => echo(pod, containerId), { what: "an exec", timeoutMs: 10_000 }), "here\n");
    await pod.remove();
  });

  it("ends none of its pods when it is stopped", async () => {
    const pod = await runPod();
    const containerId = await pod.start();
    await execa("systemctl", ["stop", unit]);
    assert.isFalse(await isActive());
    await execa("systemctl", ["start", unit]);
    assert.equal(await waitUntil(() => echo(pod, containerId), { what: "an exec", timeoutMs: 10_000 }), "here\n");
    await pod.remove();
  });
});
