import { expect } from "chai";
import { checkVmmConfig, VMM_CONFIG_DEFAULTS, type VmmConfig } from "./config.ts";

describe("The vmm sandboxer's config", () => {
  // What every machine has, in place of programs and images.
  const here = { qemu_path: "/bin/sh", kernel_path: "/bin/sh", initrd_path: "/bin/sh" };
  const check = (change: Partial<VmmConfig>) =>
    checkVmmConfig({ ...VMM_CONFIG_DEFAULTS, hypervisor: { ...VMM_CONFIG_DEFAULTS.hypervisor, ...here, ...change } });

  it("is taken as it is where everything that it names is there", () => {
    expect(check({ vcpus: 2 }).vcpus).to.equal(2);
    expect(check({ machine_type: `${VMM_CONFIG_DEFAULTS.hypervisor.machine_type},x=y` }).vcpus).to.equal(1);
  });

  it("is refused with the key, what was expected, and what came", () => {
    expect(() => check({ vcpus: 0 })).to.throw("hypervisor.vcpus is 0, expected a whole number from 1 to 255");
    expect(() => check({ accelerator: "hvf" })).to.throw(
      'hypervisor.accelerator is "hvf", expected one of "auto", "kvm", "tcg"',
    );
    expect(() => check({ machine_type: "sun4m" })).to.throw('machine_type is "sun4m", expected one of microvm, q35');
    expect(() => check({ default_max_vcpus: 1, vcpus: 2 })).to.throw(
      "default_max_vcpus is 1, expected 0, or vcpus (2)",
    );
    expect(() => check({ cpu_features: "pmu=off -drive" })).to.throw("expected one word");
  });

  it("is refused for files and programs that are not there", () => {
    expect(() => check({ kernel_path: "/none" })).to.throw(
      'hypervisor.kernel_path is "/none", which is not there: expected a file (kuasar guest-image makes it)',
    );
    expect(() => check({ entropy_source: "/etc/passwd" })).to.throw(
      'entropy_source is "/etc/passwd", which is none: expected a character device',
    );
    expect(() => check({ firmware_path: "qboot.rom" })).to.throw("which is no absolute path: expected a file");
    expect(() => check({ qemu_path: "qemu-none" })).to.throw(/qemu_path is "qemu-none": expected an executable file/);
  });

  it("is refused for what upstream's hypervisors have and ours has not, all at once", () => {
    expect(() => check({ image_path: "/kuasar.img", share_fs: "Virtio9P", default_bridges: 1 }))
      .to.throw('image_path is "/kuasar.img": not supported, the guest\'s root is its initial ramdisk')
      .with.property("message")
      .that.includes('share_fs is "Virtio9P", expected "VirtioFS"')
      .and.includes("default_bridges is 1: not supported");
    const tracing = { ...VMM_CONFIG_DEFAULTS, sandbox: { log_level: "", enable_tracing: true } };
    expect(() => checkVmmConfig(tracing)).to.throw("sandbox.enable_tracing is true: tracing is not supported");
  });
});
