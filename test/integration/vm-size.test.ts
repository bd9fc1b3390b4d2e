import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "@kuasar/install/pod";
import { assert } from "chai";
import { exitCodeOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { vmCases, vmVariant, withHypervisor } from "./vm-case.ts";

const MEBIBYTE = 1024 * 1024;
/** The config's own, which a machine has beside what its pod asks for (sandboxers/vmm/src/config.ts). */
const BASE_MIB = 256;
const POD_MIB = 128;
const SIZE = ["sh", "-c", "nproc; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"];

for (const runtimeCase of vmCases) {
  describe(`The size and the state of a pod in ${runtimeCase.title}`, function () {
    this.timeout(240_000);
    const metrics = join(tmpdir(), `kuasar-metrics-${process.pid}.sock`);
    const lab = useLab(runtimeCase, {}, {}, { sandboxerArgs: ["--metrics-address", metrics] });
    const cri = () => lab().containerd.cri.runtime;
    const resize = (containerId: string, limitMiB: number) =>
      cri().updateContainerResources({ containerId, linux: { memoryLimitInBytes: limitMiB * MEBIBYTE } });

    afterEach(() => lab().assertNothingLeft());
    after(() => rmSync(metrics, { force: true }));

    it("are what its pod asks for, and are told by its status, its stats and the sandboxer's metrics", async () => {
      const pod = await lab().runPod({
        network: "cni",
        configure: (config) => {
          config.linux.resources = { cpuPeriod: 100_000, cpuQuota: 50_000, memoryLimitInBytes: POD_MIB * MEBIBYTE };
        },
      });
      const containerId = await pod.start({ memoryLimitBytes: 64 * MEBIBYTE });
      const [vcpus = 0, memoryKb = 0] = (await pod.exec(containerId, ...SIZE)).stdout.split("\n").map(Number);
      // Half a processor beside the one that each machine has; the tests' machine may have only one.
      assert.isAtMost(vcpus, 2);
      // The kernel keeps some for itself.
      assert.isAbove(memoryKb, BASE_MIB * 1024);
      assert.isBelow(memoryKb, (BASE_MIB + POD_MIB) * 1024);

      const said = await scrape(metrics);
      assert.match(said, /^kuasar_machines\{state="running",accelerator="(emulated|kvm)"\} 1$/m);
      const labels = `namespace="k8s.io",sandbox="${pod.id}"`;
      assert.include(said, `kuasar_machine_vcpus{${labels}} ${vcpus}\n`);
      assert.include(said, `kuasar_machine_memory_bytes{${labels}} ${(BASE_MIB + POD_MIB) * MEBIBYTE}\n`);
      assert.include(said, "kuasar_machine_boot_seconds_count 1\n");

      // A machine of QEMU's type microvm stays as it is, and what it cannot give is not answered as if it were there.
      const beyond = resize(containerId, 1024);
      assert.match(await refusal(beyond), /limit of .*1024 MiB is beyond its virtual machine.* microvm/);
      await resize(containerId, 96);

      const { stats: container } = await cri().containerStats({ containerId });
      assert.isAbove(container?.cpu?.usageCoreNanoSeconds?.value ?? 0, 0);
      assert.isAbove(container?.memory?.workingSetBytes?.value ?? 0, 0);
      assert.isAtMost(container?.memory?.availableBytes?.value ?? 0, 96 * MEBIBYTE);
      const { stats } = await cri().podSandboxStats({ podSandboxId: pod.id });
      // What the host gives the machine: its kernel has been read, and has run.
      assert.isAbove(stats?.linux?.cpu?.usageCoreNanoSeconds?.value ?? 0, 1e8);
      assert.isAbove(stats?.linux?.memory?.workingSetBytes?.value ?? 0, 16 * MEBIBYTE);
      assert.equal(stats?.linux?.network?.defaultInterface?.name, "eth0");
      assert.deepEqual(
        stats?.linux?.containers?.map(({ attributes }) => attributes?.id),
        [containerId],
      );

      if (runtimeCase.criSandboxes) {
        const { info } = await cri().podSandboxStatus({ podSandboxId: pod.id, verbose: true });
        const { machine } = JSON.parse(info?.info ?? "{}") as { machine?: Record<string, unknown> };
        assert.include(machine, { hypervisor: "qemu", vcpus, memoryMiB: BASE_MIB + POD_MIB });
        assert.equal(machine?.kernel, (await pod.exec(containerId, "uname", "-r")).stdout.trim());
        assert.match(String(machine?.accelerator), vmVariant.kvm ? /^KVM$/ : /^(KVM|emulated \(TCG\): .+)$/);
        assert.equal(machine?.channel, vmVariant.vsock ? "vsock:1024" : "virtio:kuasar");
      }
      await pod.remove();
    });

    // With sandbox_mode = "shim" containerd has no task for a pod.
    if (runtimeCase.criSandboxes) return;

    it("can be paused, also over a kill of the sandboxer; the clock is right when it goes on, and no exit is lost", async () => {
      const task = async (...args: string[]) =>
        (await lab().containerd.ctr(["--namespace", "k8s.io", "task", ...args])).stdout;
      const stateOf = async (id: string) => (await task("ls")).split("\n").find((line) => line.startsWith(id));
      const pod = await lab().runPod({ network: "cni" });
      const id = await pod.start({ name: "ticker", command: ["sh", "-c", TICKER] });
      await pod.exec(id, "true");
      await task("pause", pod.id);
      assert.include(await stateOf(pod.id), "PAUSED");
      const before = lab().podLog("ticker");
      assert.match(await scrape(metrics), /^kuasar_machines\{state="paused",accelerator="(emulated|kvm)"\} 1$/m);
      assert.match(await refusal(pod.exec(id, "true")), /cannot exec in a paused state/);
      assert.match(await refusal(task("pause", pod.id)), /cannot pause a paused container/);
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      assert.include(await stateOf(pod.id), "PAUSED");
      await sleep(2000);
      // Some lines may have been on their way.
      assert.isAtMost(lab().podLog("ticker").split("\n").length, before.split("\n").length + 2);
      await task("resume", pod.id);
      assert.include(await stateOf(pod.id), "RUNNING");
      const asked = Date.now() / 1000;
      const clock = Number((await pod.exec(id, "date", "+%s")).stdout);
      assert.isAtLeast(clock, Math.floor(asked) - 1);
      assert.isAtMost(clock, Date.now() / 1000 + 1);
      await pod.exec(id, "touch", "/tmp/end");
      assert.equal(await exitCodeOf(pod, id), 7);
      await removedWhilePaused(pod, () => task("pause", pod.id));
    });

    async function removedWhilePaused(pod: Pod, pause: () => Promise<string>): Promise<void> {
      const id = await pod.start();
      await pause();
      await pod.stop();
      assert.equal((await pod.containerStatus(id)).exitCode, 137);
      await pod.remove();
    }
  });
}

const [inDefaultMode] = vmCases;
if (inDefaultMode) {
  const q35 = { machine_type: "q35", default_max_memory_in_mb: 1024 };
  const runtimeCase = withHypervisor(inDefaultMode, q35);
  describe("A pod in a virtual machine of type q35", function () {
    this.timeout(240_000);
    const lab = useLab(runtimeCase);
    const cri = () => lab().containerd.cri.runtime;

    afterEach(() => lab().assertNothingLeft());

    it("grows with the limits of its containers, up to the bound, and what it is given works", async () => {
      const volume = join(lab().directory, "volume");
      mkdirSync(volume);
      const pod = await lab().runPod({ network: "cni" });
      const containerId = await pod.start({
        memoryLimitBytes: 200 * MEBIBYTE,
        configure: (config) => {
          config.mounts = [{ hostPath: volume, containerPath: "/volume" }];
          config.linux.resources.cpuPeriod = 100_000;
          config.linux.resources.cpuQuota = 100_000;
        },
      });
      const size = async () => (await pod.exec(containerId, ...SIZE)).stdout.split("\n").map(Number);
      const [vcpus = 0, memoryKb = 0] = await size();
      assert.equal(vcpus, Math.min(2, Math.max(1, availableParallelism())));
      // In blocks of 128 MiB; the kernel keeps some of the first 256 for itself.
      assert.isAbove(memoryKb, (BASE_MIB + 200) * 1024);
      const resize = (limitMiB: number) =>
        cri().updateContainerResources({ containerId, linux: { memoryLimitInBytes: limitMiB * MEBIBYTE } });
      for (const limitMiB of [300, 450, 600]) {
        await resize(limitMiB);
        const [, nowKb = 0] = await size();
        assert.isAbove(nowKb, (BASE_MIB - 100 + limitMiB) * 1024);
      }
      const { stats } = await cri().containerStats({ containerId });
      const { availableBytes, workingSetBytes } = stats?.memory ?? {};
      assert.equal((availableBytes?.value ?? 0) + (workingSetBytes?.value ?? 0), 600 * MEBIBYTE);
      assert.match(await refusal(resize(2048)), /beyond its virtual machine, which has .*; it can have .* at most/);
      // More than the machine was booted with, in memory and through the file server of its share.
      const written = await pod.exec(containerId, "dd", "if=/dev/zero", "of=/volume/written", "bs=400M", "count=1");
      assert.equal(written.exitCode, 0, written.stderr);
      assert.isTrue(readFileSync(join(volume, "written")).equals(Buffer.alloc(400 * MEBIBYTE)));
      await pod.remove();
    });
  });
}

const TICKER = "while [ ! -e /tmp/end ]; do echo tick; sleep 0.2; done; exit 7";

async function refusal(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => assert.fail("it was not refused"),
    (error: unknown) => String(error),
  );
}

function scrape(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: "/metrics" }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(text)).on("error", reject);
    })
      .on("error", reject)
      .end();
  });
}
