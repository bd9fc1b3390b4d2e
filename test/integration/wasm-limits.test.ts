import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SandboxerProcess } from "@kuasar/install/sandboxer-process";
import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { execa } from "execa";
import { exitCodeOf, pidOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { wasmCases, wasmEngines } from "./wasm-case.ts";
import { bigModule, modulesImage, wasmModules, wasmReference } from "./wasm-modules.ts";

for (const engine of wasmEngines) {
  const [runtimeCase] = wasmCases(engine);
  if (!runtimeCase) throw new Error("there is no case");
  const big = { path: "big.wasm", type: "file", content: bigModule() } as const;

  describe(`What a Wasm container may meet, with ${runtimeCase.title}`, function () {
    this.timeout(180_000);
    const lab = useLab({ ...runtimeCase, images: () => [modulesImage([big])] });

    afterEach(() => lab().assertNothingLeft());

    const compiledFolder = () => join(lab().sandboxDirectory ?? "", ".modules");
    const compiledFiles = () =>
      (existsSync(compiledFolder()) ? readdirSync(compiledFolder()) : []).filter((name) => !name.endsWith(".sha256"));
    const run = (id: string, flags: readonly string[], ...command: string[]) =>
      lab().containerd.ctr(lab().ctrRunImageArgs(wasmReference, ["--rm", ...flags], id, ...command), { reject: false });

    it("compiles a module once, and again when somebody has changed what was compiled", async () => {
      const before = compiledFiles().length;
      await Promise.all(["one", "two", "three"].map((id) => run(id, [], "/hello.wasm")));
      const [compiled = "", ...others] = compiledFiles().slice(before);
      assert.isEmpty(others);
      writeFileSync(join(compiledFolder(), compiled), "what another module would be compiled to");
      assert.equal((await run("four", [], "/hello.wasm")).stdout, "hello from wasm");
    });

    it("runs a module of 100 MB", async () => {
      assert.equal((await run("big", [], "/big.wasm")).stdout, "big");
    });

    it("has a terminal where one is asked for", async () => {
      const args = lab().ctrRunImageArgs(wasmReference, ["--rm", "--tty"], "tty", "/hello.wasm");
      const command = lab().containerd.ctrCommand(args).map(quoted).join(" ");
      const { stdout } = await execa("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
        input: "",
      });
      assert.include(stdout, "hello from wasm");
    });

    it("keeps to the container's seccomp profile", async () => {
      const profile = join(lab().directory, "profile.json");
      // Whatever the engine writes with: the module's output has nowhere to go.
      const forbidden = { names: ["write", "writev", "pwritev", "pwritev2"], action: "SCMP_ACT_KILL_PROCESS" };
      writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [forbidden] }));
      const { exitCode, stdout } = await run("seccomp", ["--seccomp", "--seccomp-profile", profile], "/hello.wasm");
      assert.deepEqual([exitCode, stdout], [159, ""]);
      assert.equal((await run("seccomp-default", ["--seccomp"], "/hello.wasm")).stdout, "hello from wasm");
    });

    it("is confined as its spec says, its execs too, or refused where the kernel has no AppArmor", async () => {
      const profile = `kuasar-${engine}`;
      const apparmor = "/sys/kernel/security/apparmor";
      const flags = ["--detach", existsSync(apparmor) ? "--apparmor-default-profile" : "--apparmor-profile", profile];
      const { containerd } = lab();
      const args = lab().ctrRunImageArgs(wasmReference, flags, "confined", "/loop.wasm");
      const { stderr } = await containerd.ctr(args, { reject: false });
      if (existsSync(apparmor)) {
        await containerd.ctr(["task", "exec", "--detach", "--exec-id", "beside", "confined", "/loop.wasm"]);
        const pids = (await containerd.ctr(["task", "ps", "confined"])).stdout.match(/^\d+/gm) ?? [];
        const labels = pids.map((pid) => readFileSync(`/proc/${pid}/attr/current`, "utf8").trim());
        assert.deepEqual([...new Set(labels)], [`${profile} (enforce)`]);
        await containerd.ctr(["task", "rm", "--force", "confined"]);
        writeFileSync(join(apparmor, ".remove"), profile);
      } else {
        assert.match(stderr, /apparmorProfile is "kuasar-.*": AppArmor is not enabled on this node/);
      }
      await containerd.ctr(["container", "rm", "confined"]);
    });

    it("is paused, resumed and limited while it runs", async () => {
      const { containerd } = lab();
      const args = lab().ctrRunImageArgs(wasmReference, ["--detach"], "paused", "/loop.wasm");
      await containerd.ctr(args);
      const state = async () => (await containerd.ctr(["task", "ls"])).stdout.match(/paused\s+\d+\s+(\S+)/)?.[1];
      await containerd.ctr(["task", "pause", "paused"]);
      assert.equal(await state(), "PAUSED");
      await containerd.ctr(["task", "resume", "paused"]);
      assert.equal(await state(), "RUNNING");
      await containerd.ctr(["task", "kill", "--signal", "SIGKILL", "paused"]);
      await waitUntil(async () => (await state()) === "STOPPED", { what: "the task to stop", timeoutMs: 10_000 });
      await containerd.ctr(["task", "rm", "paused"]);
      await containerd.ctr(["container", "rm", "paused"]);
    });

    it("has the limits of its spec, each as setrlimit has it", async () => {
      const { containerd, directory } = lab();
      const [configFile, rootfs] = [join(directory, "limited.json"), join(directory, "limited")];
      mkdirSync(rootfs);
      writeFileSync(join(rootfs, "loop.wasm"), wasmModules["loop.wasm"] ?? "");
      const spec = JSON.parse((await containerd.ctr(["oci", "spec"])).stdout);
      spec.root.path = rootfs;
      // Not the cgroup that all others are in: with cgroup v2 no process may be in that.
      spec.linux.cgroupsPath = `/${containerd.ctrNamespace}/limited`;
      spec.process.args = ["/loop.wasm"];
      spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 123, hard: 124 }];
      writeFileSync(configFile, JSON.stringify(spec));
      const [run, ...flags] = lab().ctrRunArgs(["--config", configFile, "--detach"], "limited");
      await containerd.ctr([run ?? "", ...flags.filter((word) => !word.includes("busybox"))]);
      const { stdout } = await containerd.ctr(["task", "ls"]);
      const pid = Number(/limited\s+(\d+)/.exec(stdout)?.[1]);
      assert.match(readFileSync(`/proc/${pid}/limits`, "utf8"), /^Max open files\s+123\s+124\s/m);
      await containerd.ctr(["task", "rm", "--force", "limited"]);
      await containerd.ctr(["container", "rm", "limited"]);
    });

    it("is limited anew by an update of its resources", async () => {
      const pod = await lab().runPod();
      const containerId = await pod.start({ image: wasmReference, command: ["/loop.wasm"] });
      const linux = { memoryLimitInBytes: 50_003_968, cpuQuota: 50_000, cpuPeriod: 100_000 };
      await lab().containerd.cri.runtime.updateContainerResources({ containerId, linux });
      const pid = await pidOf(lab(), containerId);
      const cgroup = readFileSync(`/proc/${pid}/cgroup`, "utf8");
      const path = /^\d+:memory:(.*)$/m.exec(cgroup)?.[1];
      const limit = path
        ? readFileSync(join("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"), "utf8")
        : readFileSync(join("/sys/fs/cgroup", /^0::(.*)$/m.exec(cgroup)?.[1] ?? "", "memory.max"), "utf8");
      assert.equal(Number(limit), linux.memoryLimitInBytes);
      await pod.remove();
    });

    it("ends at once as often as one likes, many at a time, and leaves nothing", async () => {
      const pods = await Promise.all(Array.from({ length: 10 }, () => lab().runPod()));
      await Promise.all(
        pods.map(async (pod) => {
          for (const [module, status] of [
            ["/hello.wasm", 0],
            ["/exit.wasm", 42],
          ] as const) {
            const containerId = await pod.start({ image: wasmReference, command: [module] });
            assert.equal(await exitCodeOf(pod, containerId), status);
          }
        }),
      );
      await Promise.all(pods.map((pod) => pod.remove()));
    });

    it("says which engine is missing, and where it was looked for", async () => {
      const { options } = lab().sandboxer;
      const configFile = join(lab().directory, "broken.toml");
      writeFileSync(configFile, `engine = "${engine}"\n${engine} = "/nowhere/${engine}"\n`);
      await lab().sandboxer.kill("SIGTERM");
      const broken = new SandboxerProcess({ ...options, args: ["--config", configFile] });
      await broken.start();
      const { stderr } = await run("missing", [], "/hello.wasm");
      await broken.kill("SIGTERM");
      await lab().sandboxer.start();
      assert.match(stderr, new RegExp(`the Wasm engine "/nowhere/${engine}" is not an executable file: install it`));
    });
  });
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
