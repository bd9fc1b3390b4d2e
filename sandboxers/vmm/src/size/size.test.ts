import { expect } from "chai";
import { inBlocks } from "./machine-growth.ts";
import { machineSize } from "./machine-size.ts";
import { limitsOf, podSize } from "./pod-size.ts";

const MEBIBYTE = 1024 * 1024;
const config = { vcpus: 1, memory_in_mb: 256, default_max_vcpus: 4, default_max_memory_in_mb: 1024 };
const largest = { vcpus: 4, memoryMiB: 1024 };

describe("What a pod asks for", () => {
  const annotations = {
    "io.kubernetes.cri.sandbox-cpu-period": "100000",
    "io.kubernetes.cri.sandbox-cpu-quota": "150000",
    "io.kubernetes.cri.sandbox-memory": `${300 * MEBIBYTE}`,
  };

  it("is what containerd has noted in its sandbox's annotations", () => {
    expect(podSize(false, undefined, { annotations })).to.deep.equal({ vcpus: 2, memoryMiB: 300 });
  });

  it("is what its CRI config says, with sandbox_mode shim", () => {
    const resources = { cpuPeriod: 100_000, cpuQuota: 100_001, memoryLimitBytes: MEBIBYTE + 1 };
    const pod = {
      ...{ name: "pod", namespace: "default" },
      ...{ hostname: "", cgroupParent: "", sysctls: {}, hostNetwork: false, hostPid: false, hostIpc: false },
      ...{ userNamespace: false, supplementalGroups: [], resources },
    };
    expect(podSize(false, pod, undefined)).to.deep.equal({ vcpus: 2, memoryMiB: 2 });
  });

  it("is nothing where nothing is limited, as the kubelet says it", () => {
    const none = {
      "io.kubernetes.cri.sandbox-cpu-period": "100000",
      "io.kubernetes.cri.sandbox-cpu-quota": "-1",
      "io.kubernetes.cri.sandbox-memory": "0",
    };
    expect(podSize(false, undefined, { annotations: none })).to.deep.equal({ vcpus: 0, memoryMiB: 0 });
    expect(podSize(false, undefined, {})).to.deep.equal({ vcpus: 0, memoryMiB: 0 });
  });

  it("is a lone container's own limits, whatever its annotations say", () => {
    const linux = { resources: { cpu: { quota: 250_000, period: 100_000 }, memory: { limit: 64 * MEBIBYTE } } };
    expect(podSize(true, undefined, { annotations, linux })).to.deep.equal({ vcpus: 3, memoryMiB: 64 });
    expect(limitsOf({ memory: { limit: -1 } })).to.deep.equal({ vcpus: 0, memoryMiB: 0 });
  });

  it("is refused where an annotation is no number", () => {
    const wrong = { "io.kubernetes.cri.sandbox-memory": "1Gi" };
    expect(() => podSize(false, undefined, { annotations: wrong })).to.throw(
      'annotation io.kubernetes.cri.sandbox-memory is "1Gi", expected a whole number',
    );
  });
});

describe("A machine", () => {
  it("has what every machine has, and what its pod asks for beside", () => {
    expect(machineSize(config, { vcpus: 2, memoryMiB: 301 }, largest)).to.deep.equal({ vcpus: 3, memoryMiB: 558 });
  });

  it("has no more than the bounds", () => {
    expect(machineSize(config, { vcpus: 64, memoryMiB: 4096 }, largest)).to.deep.equal(largest);
  });

  it("grows in blocks, by as many as are wanted and the bound has room for", () => {
    expect(inBlocks(256, 300, 1024, 128)).to.equal(384);
    expect(inBlocks(256, 384, 1024, 128)).to.equal(384);
    expect(inBlocks(256, 900, 800, 128)).to.equal(768);
    expect(inBlocks(256, 100, 1024, 128)).to.equal(256);
    expect(inBlocks(256, 900, 256, 128)).to.equal(256);
  });
});
