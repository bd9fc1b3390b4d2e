import type { OciSpec } from "@kuasar/framework/oci/spec";
import { expect } from "chai";
import type { GuestDrive } from "../guest/guest.ts";
import { guestSpec } from "./guest-spec.ts";

const spec: OciSpec = {
  ociVersion: "1.1.0",
  hostname: "pod",
  process: { args: ["true"] },
  root: { path: "rootfs", readonly: true },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev/shm", type: "bind", source: "/run/containerd/sandboxes/p1/shm", options: ["rbind", "rw"] },
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
    expect(guest.linux?.namespaces).to.deep.equal([{ type: "pid" }, { type: "mount" }, { type: "cgroup" }]);
  });

  it("is refused where its mounts are to reach the host", () => {
    const mounts = [{ destination: "/csi", type: "bind", source: "/srv/csi", options: ["rbind", "rshared"] }];
    expect(() => guestSpec({ ...spec, mounts }, "c1")).to.throw(
      /^container c1: mount \/csi is rshared, .*Bidirectional/,
    );
  });

  it("joins a pid namespace of the guest's in place of one of the host's", () => {
    const shared = { ...spec, linux: { namespaces: [{ type: "pid", path: "/proc/42/ns/pid" }] } };
    expect(guestSpec(shared, "c1", { pidNamespace: "/proc/7/ns/pid" }).spec.linux?.namespaces).to.deep.equal([
      { type: "pid", path: "/proc/7/ns/pid" },
      { type: "cgroup" },
    ]);
  });

  it("has a volume on /dev/shm that is not the pod's own", () => {
    const volume = {
      destination: "/dev/shm",
      type: "bind",
      source: "/var/lib/kubelet/pods/1/empty-dir/shm",
      options: [],
    };
    expect(guestSpec({ ...spec, mounts: [volume] }, "c1").binds).to.have.lengthOf(1);
  });

  it("has no device, no label of a security module, and no processor that is the host's only", () => {
    const asked = {
      ...spec,
      process: { args: ["true"], apparmorProfile: "cri-containerd.apparmor.d" },
      linux: {
        devices: [
          { path: "/dev/fuse", type: "c", major: 10, minor: 229 },
          { path: "/dev/sda", type: "b", major: 8, minor: 0 },
        ],
        resources: { cpu: { shares: 512, cpus: "3" }, hugepageLimits: [{ pageSize: "2MB", limit: 0 }] },
      },
    };
    const { spec: got, dropped } = guestSpec(asked, "c1");
    expect(got.linux).to.deep.include({
      devices: [asked.linux.devices[0]],
      resources: { cpu: { shares: 512 } },
    });
    expect(got.process).to.deep.equal({ args: ["true"] });
    expect(dropped).to.deep.equal(["hooks prestart", "apparmorProfile", "device /dev/sda"]);
  });

  it("has a block device of the host by the guest's number, and no rule about any other of the host's", () => {
    const rule = (type: string, major: number, minor: number) => ({ allow: true, type, major, minor, access: "rw" });
    const asked = {
      ...spec,
      mounts: [{ destination: "/dev/volume", type: "bind", source: "/dev/vdb", options: ["rbind", "rw"] }],
      linux: {
        devices: [
          { path: "/dev/raw", type: "b", major: 253, minor: 0, fileMode: 0o660 },
          { path: "/dev/sda", type: "b", major: 8, minor: 0 },
        ],
        resources: {
          devices: [{ allow: false, access: "rwm" }, rule("b", 253, 0), rule("b", 8, 0), rule("c", 1, 3)],
        },
      },
    };
    const drives = new Map([["253:0", { path: "/dev/sdc", major: 8, minor: 32 } as GuestDrive]]);
    const { spec: got, dropped, binds } = guestSpec(asked, "c1", { drives, mounted: new Map([["/dev/vdb", "253:0"]]) });
    expect(got.linux?.devices).to.deep.equal([{ path: "/dev/raw", type: "b", major: 8, minor: 32, fileMode: 0o660 }]);
    expect(got.linux?.resources?.devices).to.deep.equal([
      { allow: false, access: "rwm" },
      rule("b", 8, 32),
      rule("c", 1, 3),
    ]);
    expect(got.mounts).to.deep.equal([{ ...asked.mounts[0], source: "/dev/sdc" }]);
    expect([dropped, binds]).to.deep.equal([["hooks prestart", "device /dev/sda"], []]);
  });

  it("has a cgroup of the guest's, and no hooks of the host's", () => {
    expect(guest.linux?.cgroupsPath).to.equal("/kuasar/c1");
    expect(guest).to.not.have.property("hooks");
  });

  it("leaves the bundle's spec as it was", () => {
    expect(spec.linux?.cgroupsPath).to.equal("/kubepods/pod1/c1");
  });
});
