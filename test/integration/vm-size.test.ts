import { rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "@kuasar/install/pod";
import { assert } from "chai";
import { exitCodeOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { vmCases } from "./vm-case.ts";

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

      const { stats: container } = await cri().containerStats({ containerId });
      assert.isAbove(container?.cpu?.usageCoreNanoSeconds?.value ?? 0, 0);
      assert.isAbove(container?.memory?.workingSetBytes?.value ?? 0, 0);
      assert.isAtMost(container?.memory?.availableBytes?.value ?? 0, 64 * MEBIBYTE);
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
        assert.match(String(machine?.accelerator), /^(KVM|emulated \(TCG\): .+)$/);
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
