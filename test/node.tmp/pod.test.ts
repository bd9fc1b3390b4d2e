import { readdirSync, readFileSync } from "node:fs";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { exitCodeOf } from "./container-end.ts";
import { footprint } from "./footprint.ts";
import { useLab } from "./lab.ts";
import { runtimeCases } from "./runtime-case.ts";

const { CONTAINER_RUNNING, CONTAINER_CREATED } = runtime.v1.ContainerState;
const { SANDBOX_READY, SANDBOX_NOTREADY } = runtime.v1.PodSandboxState;

for (const runtimeCase of runtimeCases) {
  describe(`A pod through ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("goes from ready to not ready to removed", async () => {
      const pod = await lab().runPod();
      assert.equal((await pod.status()).state, SANDBOX_READY);
      await pod.stop();
      assert.equal((await pod.status()).state, SANDBOX_NOTREADY);
      await pod.remove();
      const { items } = await lab().containerd.cri.runtime.listPodSandbox({});
      assert.isEmpty(items);
    });

    it("leaves traces while it lives, which the check for leaks sees", async () => {
      const pod = await lab().runPod({ network: "cni" });
      await pod.start();
      const kinds = new Set((await footprint(lab())).map((line) => line.split(" ")[0]));
      assert.includeMembers([...kinds], ["process", "mount", "cgroup", "link", "CNI", "file", "snapshot"]);
      await pod.remove();
    });

    it("runs a container that can be created, started, stopped and removed", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.create();
      assert.equal((await pod.containerStatus(containerId)).state, CONTAINER_CREATED);
      const { cri } = lab().containerd;
      await cri.runtime.startContainer({ containerId });
      assert.equal((await pod.containerStatus(containerId)).state, CONTAINER_RUNNING);
      await cri.runtime.stopContainer({ containerId, timeout: 10 });
      assert.equal(await exitCodeOf(pod, containerId), 0);
      await cri.runtime.removeContainer({ containerId });
      await pod.remove();
    });

    it("kills a container that does not heed SIGTERM, and says 137", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ command: ["sleep", "1000"] });
      await lab().containerd.cri.runtime.stopContainer({ containerId, timeout: 0 });
      assert.equal(await exitCodeOf(pod, containerId), 137);
      await pod.remove();
    });

    it("gives back a container's exit code", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ command: ["sh", "-c", "exit 42"] });
      assert.equal(await exitCodeOf(pod, containerId), 42);
      await pod.remove();
    });

    it("executes a command and gives its output, its errors and its exit code", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start();
      const result = await pod.exec(containerId, "sh", "-c", "echo out; echo err >&2; exit 3");
      assert.deepEqual(result, { stdout: "out\n", stderr: "err\n", exitCode: 3 });
      await pod.remove();
    });

    it("gives all of a long output of an executed command", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start();
      const { stdout } = await pod.exec(containerId, "seq", "1", "100000");
      assert.lengthOf(stdout.trimEnd().split("\n"), 100_000);
      assert.isTrue(stdout.endsWith("99999\n100000\n"));
      await pod.remove();
    });

    it("ends an executed command that takes longer than asked", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start();
      const late = lab().containerd.cri.runtime.execSync({ containerId, cmd: ["sleep", "1000"], timeout: 1 });
      const error = await late.then(
        () => undefined,
        (reason: Error) => reason,
      );
      assert.match(error?.message ?? "no error", /timeout|deadline/i);
      await pod.remove();
    });

    it("passes on environment and arguments", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({
        name: "args",
        command: ["sh", "-c", 'echo "$GREETING $0 $1"'],
        args: ["first", "second word"],
        env: { GREETING: "good day" },
      });
      await exitCodeOf(pod, containerId);
      const log = await waitUntil(() => lab().podLog("args") || undefined, { what: "the log", timeoutMs: 5000 });
      assert.match(log, /stdout F good day first second word\n$/);
      await pod.remove();
    });

    it("writes the container's log as CRI wants it", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({
        name: "log",
        command: ["sh", "-c", "echo one; echo two >&2; printf three"],
      });
      await exitCodeOf(pod, containerId);
      const lines = await waitUntil(
        () => {
          const read = lab().podLog("log").split("\n").filter(Boolean);
          return read.length >= 3 && read;
        },
        { what: "three lines of log", timeoutMs: 5000 },
      );
      const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)`;
      for (const line of lines) assert.match(line, new RegExp(`^${time} (stdout|stderr) [FP] .+$`));
      const told = lines.map((line) => line.split(" ").slice(1).join(" "));
      assert.sameMembers(told, ["stdout F one", "stderr F two", "stdout P three"]);
      await pod.remove();
    });

    it("has the machine's network where asked, and its host name", async () => {
      const pod = await lab().runPod({ network: "host" });
      const containerId = await pod.start();
      const { stdout } = await pod.exec(containerId, "sh", "-c", "ls /sys/class/net; hostname");
      for (const name of readdirSync("/sys/class/net")) {
        if (!name.startsWith("veth") && !name.startsWith("kuasar")) assert.include(stdout, name);
      }
      assert.include(stdout, readFileSync("/proc/sys/kernel/hostname", "utf8"));
      await pod.remove();
    });

    it("has a network of its own from CNI, and its own host name", async () => {
      const pod = await lab().runPod({ network: "cni", hostname: "somepod" });
      const address = (await pod.status()).network?.ip ?? "";
      assert.match(address, /^10\.\d+\.\d+\.\d+$/);
      const containerId = await pod.start();
      const shown = await pod.exec(containerId, "sh", "-c", "hostname; ip -4 -o addr show eth0");
      assert.match(shown.stdout, /^somepod\n/);
      assert.include(shown.stdout, `${address}/24`);
      const gateway = address.replace(/\d+$/, "1");
      assert.equal((await pod.exec(containerId, "ping", "-c", "1", "-W", "2", gateway)).exitCode, 0);
      await pod.remove();
    });

    it("gives its containers one ipc, uts and network namespace, and each its own pids", async () => {
      const pod = await lab().runPod({ network: "cni" });
      const [first, second] = [await pod.start(), await pod.start()];
      for (const name of ["ipc", "uts", "net"]) {
        const link = ["readlink", `/proc/self/ns/${name}`];
        assert.equal((await pod.exec(first, ...link)).stdout, (await pod.exec(second, ...link)).stdout, name);
      }
      const pids = ["readlink", "/proc/self/ns/pid"];
      assert.notEqual((await pod.exec(first, ...pids)).stdout, (await pod.exec(second, ...pids)).stdout);
      await pod.remove();
    });

    it("lets its containers see each other's processes where asked", async () => {
      const pod = await lab().runPod({ sharePid: true });
      await pod.start({ command: ["sleep", "4242"] });
      const second = await pod.start();
      assert.include((await pod.exec(second, "ps")).stdout, "sleep 4242");
      await pod.remove();
    });

    it("keeps a container's memory limit", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ memoryLimitBytes: 64 * 1024 * 1024 });
      const v1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
      const { stdout } = await pod.exec(containerId, "sh", "-c", `cat ${v1} /sys/fs/cgroup/memory.max 2>/dev/null`);
      assert.equal(stdout.trim(), "67108864");
      await pod.remove();
    });

    it("is refused when its container's program is not there, and goes on", async () => {
      const pod = await lab().runPod();
      const error = await pod.start({ command: ["/no/such/program"] }).then(
        () => undefined,
        (reason: Error) => reason,
      );
      assert.include(error?.message, "/no/such/program");
      const containerId = await pod.start();
      assert.equal((await pod.exec(containerId, "true")).exitCode, 0);
      await pod.remove();
    });
  });
}
