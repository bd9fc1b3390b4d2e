import type { OciSpec } from "@kuasar/framework/oci/spec";
import { expect } from "chai";
import { guestSpec } from "./guest-spec.ts";

const spec: OciSpec = {
  ociVersion: "1.1.0",
  hostname: "pod",
  process: { args: ["true"] },
  root: { path: "rootfs", readonly: true },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev/shm", type: "bind", source: "/run/pod/shm", options: ["rbind", "rw"] },
    { destination: "/etc/hosts", type: "bind", source: "/var/lib/hosts", options: ["rbind", "ro"] },
    { destination: "/data", source: "/srv/data", options: ["bind"] },
  ],
  hooks: { prestart: [{ path: "/on/the/host" }] },
  linux: {
    cgroupsPath: "/kubepods/pod1/c1",
    namespaces: [
      { type: "pid" },
      { type: "network", path: "/var/run/netns/pod" },
      { type: "ipc", path: "/proc/42/ns/ipc" },
      { type: "uts", path: "/proc/42/ns/uts" },
      { type: "mount" },
    ],
  },
};

describe("a container's spec in the guest", () => {
  const { spec: guest, binds } = guestSpec(spec, "c1");

  it("has its root and its files in the pod's share", () => {
    expect(guest.root).to.deep.equal({ path: "/run/kuasar/share/c1/rootfs", readonly: true });
    expect(guest.mounts?.map(({ destination, source }) => [destination, source])).to.deep.equal([
      ["/proc", "proc"],
      ["/dev/shm", "/dev/shm"],
      ["/etc/hosts", "/run/kuasar/share/c1/mount0"],
      ["/data", "/run/kuasar/share/c1/mount1"],
    ]);
    expect(binds.map(({ source, name }) => [source, name])).to.deep.equal([
      ["/var/lib/hosts", "mount0"],
      ["/srv/data", "mount1"],
    ]);
  });

  it("has a read-only mount read-only on the host already", () => {
    expect(binds.map(({ options }) => options.includes("ro"))).to.deep.equal([true, false]);
  });

  it("joins what its pod shares by being in the same machine", () => {
    expect(guest.linux?.namespaces).to.deep.equal([{ type: "pid" }, { type: "mount" }]);
  });

  it("sees the machine's processes where it shares those of its pod", () => {
    const shared = { ...spec, linux: { namespaces: [{ type: "pid", path: "/proc/42/ns/pid" }] } };
    expect(guestSpec(shared, "c1").spec.linux?.namespaces).to.deep.equal([]);
  });

  it("has a cgroup of the guest's, and no hooks of the host's", () => {
    expect(guest.linux?.cgroupsPath).to.equal("/kuasar/c1");
    expect(guest).to.not.have.property("hooks");
  });

  it("leaves the bundle's spec as it was", () => {
    expect(spec.linux?.cgroupsPath).to.equal("/kubepods/pod1/c1");
  });
});
