import { readFileSync } from "node:fs";
import { assert } from "chai";
import { pidOf, podPid } from "../container-end.ts";
import type { Lab } from "../lab.ts";
import { withPod } from "./with-pod.ts";

const MEBIBYTE = 1024 * 1024;

/** A value of a process's own cgroup, by its name in cgroup v1 and in v2. */
function cgroupValue(pid: number, controller: string, v1: string, v2: string): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
  const own = lines.map((line) => /^\d+:([^:]*):(.*)$/.exec(line)).filter((match) => match !== null);
  const legacy = own.find(([, controllers]) => controllers?.split(",").includes(controller));
  if (legacy) return readFileSync(`/sys/fs/cgroup/${controller}${legacy[2]}/${v1}`, "utf8").trim();
  const unified = own.find(([, controllers]) => controllers === "");
  return readFileSync(`/sys/fs/cgroup${unified?.[2]}/${v2}`, "utf8").trim();
}

const memoryLimit = (pid: number) => cgroupValue(pid, "memory", "memory.limit_in_bytes", "memory.max");
const cpus = (pid: number) => cgroupValue(pid, "cpuset", "cpuset.cpus", "cpuset.cpus");
const cpuQuota = (pid: number) => cgroupValue(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split(" ")[0];

export function resourcesTests(lab: () => Lab): void {
  const cri = () => lab().containerd.cri.runtime;

  it("keeps a container to its memory, its share of the processors, and its priority for the OOM killer", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start({
        memoryLimitBytes: 64 * MEBIBYTE,
        configure: ({ linux }) =>
          Object.assign(linux.resources, { cpuPeriod: 100_000, cpuQuota: 20_000, cpusetCpus: "0", oomScoreAdj: 900 }),
      });
      const pid = await pidOf(lab(), containerId);
      assert.equal(memoryLimit(pid), String(64 * MEBIBYTE));
      assert.equal(cpuQuota(pid), "20000");
      assert.equal(cpus(pid), "0");
      assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8"), "900\n");
    }));

  it("changes the resources of a container that runs", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start({ memoryLimitBytes: 64 * MEBIBYTE });
      const pid = await pidOf(lab(), containerId);
      const linux = { memoryLimitInBytes: 96 * MEBIBYTE, cpuPeriod: 100_000, cpuQuota: 30_000, cpusetCpus: "0" };
      await cri().updateContainerResources({ containerId, linux });
      assert.equal(memoryLimit(pid), String(96 * MEBIBYTE));
      assert.equal(cpuQuota(pid), "30000");
      assert.equal(cpus(pid), "0");
      const { resources } = await pod.containerStatus(containerId);
      assert.deepInclude(resources?.linux, { memoryLimitInBytes: 96 * MEBIBYTE, cpuQuota: 30_000 });
    }));

  it("changes the resources of a container that is yet to start", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.create({ memoryLimitBytes: 64 * MEBIBYTE });
      await cri().updateContainerResources({ containerId, linux: { memoryLimitInBytes: 80 * MEBIBYTE } });
      await cri().startContainer({ containerId });
      assert.equal(memoryLimit(await pidOf(lab(), containerId)), String(80 * MEBIBYTE));
    }));

  it("refuses to change resources to what the kernel does not take, and the container goes on", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start();
      const refused = cri().updateContainerResources({ containerId, linux: { cpusetCpus: "4000" } });
      const error = await refused.then(
        () => undefined,
        (reason: Error) => reason,
      );
      assert.match(error?.message ?? "no error", /cpuset/);
      assert.equal((await pod.exec(containerId, "true")).exitCode, 0);
    }));

  it("runs a pod with the overhead and the resources that the kubelet names for all of it", () => {
    const resources = { cpuPeriod: 100_000, cpuQuota: 50_000, cpuShares: 512, memoryLimitInBytes: 128 * MEBIBYTE };
    const configure = ({ linux }: { linux: object }) =>
      void Object.assign(linux, { resources, overhead: { cpuShares: 102, memoryLimitInBytes: 32 * MEBIBYTE } });
    return withPod(lab(), { configure }, async (pod) => {
      // The pod's own cgroup is the kubelet's. What is made below it for the pause process has the least share there is.
      const pid = await podPid(lab(), pod.id);
      assert.include(["2", "1"], cgroupValue(pid, "cpu", "cpu.shares", "cpu.weight"));
      assert.equal((await pod.exec(await pod.start(), "true")).exitCode, 0);
    });
  });
}
