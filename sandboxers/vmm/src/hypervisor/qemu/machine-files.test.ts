import { expect } from "chai";
import { launchFiles } from "./machine-files.ts";

describe("what QEMU finds of the host's files", () => {
  const plan = { kernel: "/boot/vmlinux", initrd: "/boot/initrd.img", interfaces: [], shares: [] };
  const config = { firmware_path: "", memory_path: "", entropy_source: "/dev/urandom", use_vsock: false };
  const files = (program: string, kvm = false) => launchFiles({ program, plan, config, kvm });

  it("is the folder that it was installed to, and no more of where it lies", () => {
    const own = (program: string) => files(program).readOnly[0];
    expect(own("/opt/kata/bin/qemu-system-x86_64")).to.equal("/opt/kata");
    expect(own("/usr/bin/qemu-system-x86_64")).to.equal("/usr");
    expect(own("/bin/qemu-system-x86_64")).to.equal("/bin");
    expect(own("/home/user/qemu-system-x86_64")).to.equal("/home/user");
    expect(own("/qemu-system-x86_64")).to.equal(plan.kernel);
  });

  it("is its kernel and initial ramdisk, and the devices that it is told of", () => {
    expect(files("/usr/bin/qemu").readOnly.slice(1)).to.deep.equal(["/boot/vmlinux", "/boot/initrd.img"]);
    expect(files("/usr/bin/qemu").writable).to.deep.equal(["/dev/urandom"]);
    const all = launchFiles({
      program: "/usr/bin/qemu",
      plan: {
        ...plan,
        interfaces: [{ tap: "tap0", mac: "02:00:00:00:00:01" }],
        shares: [{ tag: "t", socket: "/run/share.sock" }],
      },
      config: { ...config, firmware_path: "/opt/bios", memory_path: "/dev/hugepages", use_vsock: true },
      kvm: true,
    });
    expect(all.readOnly).to.include("/opt/bios");
    expect(all.writable).to.include.members([
      ...["/dev/kvm", "/dev/vhost-vsock", "/dev/net/tun", "/run/share.sock", "/dev/hugepages"],
    ]);
  });
});
