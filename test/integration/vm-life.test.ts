import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ContainerConfig, Pod, PodConfig } from "@kuasar/install/pod";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { stringify } from "smol-toml";
import { exitCodeOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { vmCases, vmVariant } from "./vm-case.ts";
import { anyHypervisor, machineOf } from "./vm-processes.ts";

async function assertRejects(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const outcome = await promise.then(
    () => "no error",
    (error: Error) => error.message,
  );
  assert.match(outcome, message);
}

const { SANDBOX_NOTREADY } = runtime.v1.PodSandboxState;

for (const runtimeCase of vmCases) {
  describe(`The end of a pod in ${runtimeCase.title}`, function () {
    this.timeout(300_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    /** What the sandboxer's log says of the end of a pod. */
    const loggedEnd = (pod: Pod) =>
      readFileSync(lab().sandboxer.options.logFile, "utf8")
        .split("\n")
        .filter((line) => line.includes(pod.id) && line.includes("has ended by itself"))
        .map((line) => (JSON.parse(line) as { reason: string }).reason)
        .at(-1);

    /** The same from the pod's verbose status, which is the sandboxer's own only where containerd asks it. */
    const shownEnd = async (pod: Pod) => {
      const { info } = await lab().containerd.cri.runtime.podSandboxStatus({ podSandboxId: pod.id, verbose: true });
      return JSON.stringify(info);
    };

    async function endsBy(pod: Pod, id: string, end: () => Promise<unknown> | unknown, reason: RegExp) {
      const began = performance.now();
      await end();
      assert.equal(await exitCodeOf(pod, id), 137);
      const notReady = async () => (await pod.status()).state === SANDBOX_NOTREADY;
      await waitUntil(notReady, { what: `pod ${pod.id} to be seen as not ready`, timeoutMs: 20_000 });
      const ms = Math.round(performance.now() - began);
      if (process.env.KUASAR_TIMES) console.log(`    ${reason}: seen after ${ms} ms`);
      assert.match(loggedEnd(pod) ?? "", reason);
      if (runtimeCase.criSandboxes) assert.include(await shownEnd(pod), "endReason");
      await pod.remove();
    }

    /** A guest writes to its serial port as much as it likes; what the host keeps of it has a bound. */
    async function floodConsole(pod: Pod, id: string) {
      const flood = "mknod /tmp/serial c 4 64 && dd if=/dev/zero of=/tmp/serial bs=64k count=10";
      assert.equal((await pod.exec(id, "sh", "-c", flood)).exitCode, 0);
      const { argv } = machineOf(pod.id).virtiofsd;
      const folder = dirname(argv.find((word) => word.startsWith("--socket-path="))?.split("=")[1] ?? "");
      const sizes = ["console.log", "console.log.1"].map((name) => statSync(join(folder, name)).size);
      for (const size of sizes) assert.isBelow(size, 300 * 1024);
      assert.isAbove(sizes[1] ?? 0, 256 * 1024 - 1);
    }

    it("is told with its reason, whichever of its processes ends, and leaves nothing", async () => {
      const privileged = ({ linux }: PodConfig | ContainerConfig) => {
        linux.securityContext.privileged = true;
      };
      const start = async (command?: string[]) => {
        const pod = await lab().runPod({ network: "cni", configure: privileged });
        return [pod, await pod.start({ configure: privileged, ...(command && { command }) })] as const;
      };
      const trigger = (key: string) => ["sh", "-c", `sleep 2; echo ${key} > /proc/sysrq-trigger; sleep 1000`];
      const [one, two] = await Promise.all([start(), start()]);
      await endsBy(
        ...one,
        () => process.kill(machineOf(one[0].id).hypervisor.pid, "SIGKILL"),
        /^the hypervisor was ended by signal 9/,
      );
      await floodConsole(...two);
      await endsBy(
        ...two,
        () => process.kill(machineOf(two[0].id).virtiofsd.pid, "SIGKILL"),
        /^virtiofsd, the server of its files, was ended by signal 9/,
      );
      const [three, four] = await Promise.all([start(trigger("c")), start(trigger("o"))]);
      await endsBy(
        ...three,
        () => undefined,
        /the guest's kernel has panicked: sysrq triggered crash[\s\S]*last heard:\n/,
      );
      await endsBy(...four, () => undefined, /the hypervisor has ended with status 0; the guest has powered off/);
    });

    it("is to be had though its guest says nothing any more, which is told", async () => {
      const pod = await lab().runPod({ network: "cni" });
      const id = await pod.start();
      const { hypervisor } = machineOf(pod.id);
      const status = readFileSync(`/proc/${hypervisor.pid}/status`, "utf8");
      // What a guest that has taken its hypervisor over can do.
      assert.match(status, /^CapPrm:\t0+$/m);
      assert.match(status, /^CapBnd:\t0+$/m);
      assert.match(status, /^NoNewPrivs:\t1$/m);
      const seen = `/proc/${hypervisor.pid}/root`;
      for (const path of ["/etc/passwd", "/root", "/var", "/proc/1", "/dev/null"])
        assert.isFalse(existsSync(seen + path), path);
      const mounts = readFileSync(`/proc/${hypervisor.pid}/mountinfo`, "utf8").trim().split("\n");
      const writable = mounts
        .map((line) => line.split(" "))
        .filter(([, , , , , options = ""]) => /^rw\b/.test(options));
      const places = writable.map(([, , , , place = ""]) => place.replace(/.*\/\.machines\/[^/]+/, "MACHINE"));
      const devices = places.filter((place) => place.startsWith("/dev/"));
      assert.includeMembers(["/dev/kvm", "/dev/net/tun", "/dev/urandom", "/dev/vhost-vsock"], devices);
      // Not an image (0), which other pods have, too.
      const drives = vmVariant.rootfs === "Block" ? ["MACHINE/door/1"] : [];
      assert.sameMembers(places, [...devices, "MACHINE/share.sock", "MACHINE/vm", ...drives]);
      process.kill(hypervisor.pid, "SIGSTOP");
      // Another pod's, of the test before, may have been silent as well.
      const silent = () =>
        readFileSync(lab().sandboxer.options.logFile, "utf8")
          .split("\n")
          .some((line) => line.includes(pod.id) && line.includes("guest does not answer"));
      await waitUntil(silent, { what: "the guest's silence to be told", timeoutMs: 60_000 });
      if (runtimeCase.criSandboxes) assert.include(await shownEnd(pod), "silentSince");
      await assertRejects(pod.exec(id, "true"), /does not answer since/);
      const began = performance.now();
      await pod.remove();
      if (process.env.KUASAR_TIMES) console.log(`    removed in ${Math.round(performance.now() - began)} ms`);
    });

    it("comes before its beginning where the sandboxer is killed while the machine boots", async () => {
      const pod = lab().runPod({ network: "cni" });
      const outcome = pod.then(
        () => "a pod",
        (error: Error) => error.message,
      );
      await waitUntil(anyHypervisor, { what: "a hypervisor", timeoutMs: 60_000 });
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      assert.notEqual(await outcome, "a pod");
      await waitUntil(() => !anyHypervisor(), { what: "the half-made machine to go", timeoutMs: 10_000 });
    });

    it("is told at once where the guest's kernel cannot boot, and at the limit where it hangs", async () => {
      const file = join(lab().directory, "sandboxer.toml");
      const usual = readFileSync(file);
      const config = (await runtimeCase.config?.()) as { hypervisor: Record<string, string> };
      const run = async (change: Record<string, string | number>) => {
        await lab().sandboxer.kill("SIGTERM");
        writeFileSync(file, stringify({ hypervisor: { ...config.hypervisor, ...change } }));
        await lab().sandboxer.start();
        return await lab()
          .runPod({ network: "cni" })
          .then(
            () => "a pod",
            (error: Error) => error.message,
          );
      };
      try {
        assert.match(
          await run({ kernel_params: "rdinit=/absent root=/dev/absent", boot_timeout_in_ms: 3_600_000 }),
          /the machine did not come up: .*kernel has panicked: [\s\S]*last heard:/,
        );
        assert.match(
          await run({ kernel_params: "kuasar.channel=virtio:absent", boot_timeout_in_ms: 4_000 }),
          /the machine did not come up within 4000 ms/,
        );
      } finally {
        await lab().sandboxer.kill("SIGTERM");
        writeFileSync(file, usual);
        await lab().sandboxer.start();
      }
    });
  });
}
