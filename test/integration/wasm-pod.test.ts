import { readdirSync, readFileSync } from "node:fs";
import { firstLineOf } from "@kuasar/install/first-line-of";
import { httpComponentAnswer } from "@kuasar/install/http-component";
import type { Pod } from "@kuasar/install/pod";
import { readProcess } from "@kuasar/install/process-table";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { exitCodeOf, pidOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { wasmCases, wasmEngines } from "./wasm-case.ts";
import { wasmReference } from "./wasm-modules.ts";

const MEMORY_LIMIT_BYTES = 60_000_000;

for (const engine of wasmEngines) {
  for (const runtimeCase of wasmCases(engine)) {
    describe(`A Wasm pod with ${runtimeCase.title}`, function () {
      this.timeout(120_000);
      const lab = useLab(runtimeCase);

      afterEach(() => lab().assertNothingLeft());

      const start = (pod: Pod, module: string, name?: string) =>
        pod.start({ image: wasmReference, command: [module], ...(name && { name }) });

      it("runs modules and gives their output and exit codes", async () => {
        const pod = await lab().runPod({ network: "cni" });
        assert.equal(await exitCodeOf(pod, await start(pod, "/hello.wasm", "hello")), 0);
        assert.equal(await exitCodeOf(pod, await start(pod, "/exit.wasm")), 42);
        assert.equal(await exitCodeOf(pod, await start(pod, "/trap.wasm")), 134);
        const logged = () => lab().podLog("hello").includes("stdout F hello from wasm");
        await waitUntil(logged, { what: "the module's output", timeoutMs: 5_000 });
        await pod.remove();
      });

      it("runs a module that never ends until it is told to, at once", async () => {
        const pod = await lab().runPod();
        const containerId = await start(pod, "/loop.wasm");
        assert.equal((await pod.containerStatus(containerId)).state, runtime.v1.ContainerState.CONTAINER_RUNNING);
        await lab().containerd.cri.runtime.stopContainer({ containerId, timeout: 60 });
        assert.equal(await exitCodeOf(pod, containerId), 143);
        await pod.remove();
      });

      it("ends a module that takes more memory than it may, and says why", async () => {
        const pod = await lab().runPod();
        const container = { image: wasmReference, command: ["/greedy.wasm"], memoryLimitBytes: MEMORY_LIMIT_BYTES };
        const containerId = await pod.start(container);
        assert.equal(await exitCodeOf(pod, containerId), 137);
        assert.equal((await pod.containerStatus(containerId)).reason, "OOMKilled");
        await pod.remove();
      });

      it("calls a function of a running module by exec, and says that it has no Linux programs", async () => {
        const pod = await lab().runPod();
        const containerId = await pod.start({ image: wasmReference, command: ["/loop.wasm"] });
        assert.deepEqual(await pod.exec(containerId, "/hello.wasm"), {
          stdout: "hello from wasm\n",
          stderr: "",
          exitCode: 0,
        });
        assert.equal((await pod.exec(containerId, "/exit.wasm#called")).stdout, "called\n");
        const refused = await pod.exec(containerId, "sh").catch((error: Error) => error.message);
        assert.match(String(refused), /a Wasm container has no Linux programs/);
        await pod.remove();
      });

      it("tells the kubelet what the engine's process uses, of the container and of the pod", async () => {
        const pod = await lab().runPod({ network: "cni" });
        const containerId = await start(pod, "/loop.wasm");
        const { runtime: cri } = lab().containerd.cri;
        const pid = await pidOf(lab(), containerId);
        const spent = () => Promise.resolve(processorMs(pid) > 200 ? processorMs(pid) : undefined);
        const processor = await waitUntil(spent, { what: "the module to take processor time", timeoutMs: 20_000 });
        const anonymous = Number(
          /^Anonymous:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1],
        );

        const { stats: one } = await cri.containerStats({ containerId });
        const { stats: listed } = await cri.listContainerStats({ filter: { podSandboxId: pod.id } });
        assert.deepEqual(
          listed.map(({ attributes }) => attributes?.id),
          [containerId],
        );
        const { stats: ofPod } = await cri.podSandboxStats({ podSandboxId: pod.id });
        const { stats: pods } = await cri.listPodSandboxStats({});
        assert.deepEqual(
          pods.map(({ attributes }) => attributes?.id),
          [pod.id],
        );
        for (const stats of [one, listed[0], ofPod?.linux, ofPod?.linux?.containers?.[0], pods[0]?.linux]) {
          // Both are counted in steps of the clock.
          assert.isAbove(Number(stats?.cpu?.usageCoreNanoSeconds?.value) / 1e6, processor - 50);
          assert.isAbove(Number(stats?.memory?.workingSetBytes?.value), (anonymous * 1024) / 2);
        }
        assert.equal(ofPod?.linux?.network?.defaultInterface?.name, "eth0");
        assert.isAbove(Number(ofPod?.linux?.process?.processCount?.value), 0);
        await pod.remove();
      });

      it("runs an ordinary container beside a module, on the same network", async () => {
        const pod = await lab().runPod({ network: "cni" });
        await start(pod, "/loop.wasm");
        const sidecar = await pod.start();
        const { stdout } = await pod.exec(sidecar, "ip", "addr");
        assert.include(stdout, `inet ${await addressOf(pod)}/`);
        await pod.remove();
      });

      it("runs a module without rights, in a root with nothing of the host's", async () => {
        const pod = await lab().runPod({ network: "cni" });
        const pid = await pidOf(lab(), await start(pod, "/loop.wasm"));
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        assert.match(status, /^CapEff:\s0{16}$/m);
        assert.match(status, /^CapBnd:\s0{16}$/m);
        assert.match(status, /^NoNewPrivs:\s1$/m);
        assert.deepEqual(readdirSync(`/proc/${pid}/root`).sort(), [
          ...["dev", "engine", ...(engine === "wasmedge" ? ["etc"] : []), "lib64", "module", "rootfs"],
        ]);
        await pod.remove();
      });

      it("loses no module when the sandboxer is killed, and tells of those that ended meanwhile", async () => {
        const pod = await lab().runPod();
        const running = await start(pod, "/loop.wasm");
        const ending = await pidOf(lab(), await start(pod, "/loop.wasm", "ending"));
        await lab().sandboxer.kill("SIGKILL");
        process.kill(ending, "SIGKILL");
        await lab().sandboxer.start();
        const { containers } = await lab().containerd.cri.runtime.listContainers({});
        const other = containers?.find(({ id }) => id !== running)?.id ?? "";
        assert.equal(await exitCodeOf(pod, other), 137);
        const again = () => pod.exec(running, "/hello.wasm");
        const { stdout } = await waitUntil(again, { what: "the shim to reach its sandboxer again", timeoutMs: 5_000 });
        assert.equal(stdout, "hello from wasm\n");
        await pod.remove();
      });

      it("is ended wholly when its shim is killed: also a module that was not started yet", async () => {
        const pod = await lab().runPod({ network: "cni" });
        const pids = [await pidOf(lab(), await start(pod, "/loop.wasm"))];
        const waiting = await pod.create({ image: wasmReference, command: ["/hello.wasm"] });
        assert.equal((await pod.containerStatus(waiting)).state, runtime.v1.ContainerState.CONTAINER_CREATED);
        process.kill(lab().shimOf(pod.id).pid, "SIGKILL");
        const notReady = async () => (await pod.status()).state === runtime.v1.PodSandboxState.SANDBOX_NOTREADY;
        if (runtimeCase.sandboxMode !== "shim") {
          await waitUntil(notReady, { what: "containerd to notice", timeoutMs: 20_000 });
        }
        const gone = () => pids.every((pid) => readProcess(pid) === undefined);
        await waitUntil(gone, { what: "the module's process to be gone", timeoutMs: 20_000 });
        const removed = () => pod.remove().then(() => true);
        await waitUntil(removed, { what: "the pod to be removed", timeoutMs: 20_000 });
      });

      if (engine === "wasmtime") {
        it("takes modules in text form", async () => {
          const pod = await lab().runPod();
          assert.equal(await exitCodeOf(pod, await start(pod, "/text.wat")), 7);
          await pod.remove();
        });

        it("serves HTTP on the pod's address by a component", async () => {
          const pod = await lab().runPod({ network: "cni" });
          await start(pod, "/http.wat");
          const url = `http://${await addressOf(pod)}:8080/`;
          const answer = await waitUntil(() => firstLineOf(url), { what: `an answer from ${url}`, timeoutMs: 20_000 });
          assert.equal(answer, httpComponentAnswer);
          await pod.remove();
        });
      } else {
        it("says that it cannot run what only another engine can, which an annotation may choose", async () => {
          const pod = await lab().runPod();
          const refused = await start(pod, "/text.wat").catch((error: Error) => error.message);
          assert.match(String(refused), /wasmedge does not run modules in text form; choose another engine/);
          await pod.remove();
          const other = await lab().runPod({ annotations: { "kuasar.io/wasm-engine": "wasmtime" } });
          assert.equal(await exitCodeOf(other, await start(other, "/text.wat")), 7);
          await other.remove();
        });
      }
    });
  }
}

/** Of a process by now, all its threads together. */
function processorMs(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
}

async function addressOf(pod: Pod): Promise<string> {
  return (await pod.status()).network?.ip ?? "";
}
