import { expect } from "chai";
import type { OciSpec } from "../oci/spec.ts";
import { planFromPodConfig } from "./plan-from-pod-config.ts";
import { planFromSpec } from "./plan-from-spec.ts";
import type { PodConfig } from "./pod-config.ts";
import { pauseSpawnRequest } from "./spawn-pause.ts";

const SPEC: OciSpec = {
  hostname: "web",
  process: { user: { uid: 65_535, gid: 65_534, additionalGids: [7] }, oomScoreAdj: 500 },
  linux: {
    namespaces: [
      { type: "pid" },
      { type: "ipc" },
      { type: "uts" },
      { type: "mount" },
      { type: "network", path: "/var/run/netns/cni-1" },
    ],
    sysctl: { "net.ipv4.ip_unprivileged_port_start": "0", "kernel.shm_rmid_forced": "1" },
    cgroupsPath: "/k8s.io/abc",
    resources: { cpu: { shares: 2 } },
  },
};

const POD: PodConfig = {
  name: "pod",
  namespace: "default",
  hostname: "web",
  cgroupParent: "/kubepods/pod1",
  sysctls: {},
  hostNetwork: false,
  hostPid: false,
  hostIpc: false,
  userNamespace: false,
  supplementalGroups: [],
};

describe("the pause process of a pod", () => {
  it("is made from the pause container's spec", () => {
    const request = pauseSpawnRequest("abc", "/usr/bin/catatonit", planFromSpec(SPEC, "abc"), ["/cg/cgroup.procs"]);
    expect(request).to.deep.include({
      key: "abc",
      argv: ["/usr/bin/catatonit", "-P"],
      emptyRoot: true,
      hostname: "web",
      cgroupProcs: ["/cg/cgroup.procs"],
      oomScoreAdj: 500,
      parentDeathSignal: 0,
      sysctls: SPEC.linux?.sysctl,
    });
    expect(request.namespaces).to.deep.equal([
      { type: "pid", path: "" },
      { type: "ipc", path: "" },
      { type: "uts", path: "" },
      { type: "mount", path: "" },
      { type: "network", path: "/var/run/netns/cni-1" },
    ]);
    expect(request.credentials).to.deep.equal({
      uid: 65_535,
      gid: 65_534,
      additionalGids: [7],
      capabilities: [],
      noNewPrivileges: true,
    });
  });

  it("is made from the pod's CRI config in the same way", () => {
    const plan = planFromPodConfig({ ...POD, runAsUser: 5 }, "abc", "/var/run/netns/cni-1");
    expect(plan.namespaces.map(({ type }) => type).sort()).to.deep.equal(["ipc", "mount", "network", "pid", "uts"]);
    expect(plan).to.deep.include({ hostname: "web", cgroup: "/kubepods/pod1/abc", uid: 5, oomScoreAdj: -998 });
    expect(plan.resources).to.deep.equal({ cpu: { shares: 2 } });
  });

  it("shares the host's namespaces where the pod does", () => {
    const config = { ...POD, hostname: "", hostNetwork: true, hostPid: true, hostIpc: true };
    const plan = planFromPodConfig(config, "abc", "");
    expect(plan.namespaces).to.deep.equal([{ type: "mount", path: "" }]);
  });

  it("is refused a name that would be the host's", () => {
    const refusal = 'sandbox abc: unable to set hostname "web" without a private UTS namespace';
    expect(() => planFromPodConfig({ ...POD, hostNetwork: true }, "abc", "")).to.throw(refusal);
    expect(() => planFromSpec({ hostname: "web", linux: { namespaces: [] } }, "abc")).to.throw(refusal);
    expect(() => planFromSpec({ domainname: "org", linux: { namespaces: [] } }, "abc")).to.throw(/domainname "org"/);
  });

  it("is refused a user namespace that nobody has prepared anything for", () => {
    const config = { ...POD, userNamespace: true };
    expect(() => planFromPodConfig(config, "abc", "/var/run/netns/cni-1")).to.throw(/user namespace/);
  });

  it("always has a mount namespace, since its root is empty", () => {
    expect(planFromSpec({}, "abc").namespaces).to.deep.equal([{ type: "mount", path: "" }]);
  });

  it("needs a network namespace unless the pod is on the host's", () => {
    expect(() => planFromPodConfig(POD, "abc", "")).to.throw(/no network namespace was handed over/);
  });

  it("is refused for a sysctl that would change the host", () => {
    const plan = (sysctls: Record<string, string>, hostNetwork = false) =>
      planFromPodConfig({ ...POD, sysctls, hostNetwork, hostname: "" }, "abc", "/var/run/netns/cni-1");
    for (const name of [
      "vm.swappiness",
      "kernel.pid_max",
      "kernel.hostname",
      "net/../vm/swappiness",
      "kernel/shm/../x",
    ]) {
      expect(() => plan({ [name]: "1" }), name).to.throw(/sysctl/);
    }
    expect(() => plan({ "net.ipv4.ip_forward": "1" }, true)).to.throw(/network namespace/);
    expect(() => plan({ "net/ipv4/conf/eth0.1/forwarding": "1", "fs.mqueue.msg_max": "9" })).not.to.throw();
  });

  it("is refused a network namespace that is the host's own, if it sets anything there", () => {
    expect(() =>
      planFromPodConfig({ ...POD, sysctls: { "net.ipv4.ip_forward": "1" } }, "abc", "/proc/self/ns/net"),
    ).to.throw(/network namespace/);
  });

  it("is refused for a namespace nobody knows", () => {
    expect(() => planFromSpec({ linux: { namespaces: [{ type: "netz" }] } }, "abc")).to.throw(/"netz"/);
  });
});
