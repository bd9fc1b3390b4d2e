import { quote } from "@kuasar/framework/identifier/identifier";

/** The sandboxer's own keys in its config file, named as upstream's config_qemu.toml names them where it has them. */
export interface VmmConfig {
  /** Which hypervisor runs the machines: "qemu". */
  readonly hypervisor: string;
  /** The hypervisor's program: a name or a path. */
  readonly path: string;
  /** "kvm", "tcg", or "auto": KVM where there is a /dev/kvm. */
  readonly accelerator: string;
  readonly machine_type: string;
  readonly kernel_path: string;
  readonly initrd_path: string;
  /** More words for the guest kernel's command line. */
  readonly kernel_params: string;
  readonly vcpus: number;
  readonly memory_in_mb: number;
  /** The file server of shares; "" looks where Debian has it. */
  readonly virtiofsd_path: string;
  /** The guest kernel says all it does on the console. */
  readonly debug: boolean;
  /** How long a machine may take until its vmm-task answers. */
  readonly boot_timeout_in_ms: number;
}

export const VMM_CONFIG_DEFAULTS: VmmConfig = {
  hypervisor: "qemu",
  path: "qemu-system-x86_64",
  accelerator: "auto",
  machine_type: "microvm,acpi=on,pcie=on",
  kernel_path: "/usr/local/lib/kuasar/guest/vmlinuz",
  initrd_path: "/usr/local/lib/kuasar/guest/initrd.img",
  kernel_params: "",
  vcpus: 1,
  memory_in_mb: 256,
  virtiofsd_path: "",
  debug: false,
  boot_timeout_in_ms: 60_000,
};

/** Throws an Error with the key, what was expected and what came. */
export function checkVmmConfig(config: VmmConfig): VmmConfig {
  if (config.hypervisor !== "qemu") throw new Error(`hypervisor is ${quote(config.hypervisor)}, expected "qemu"`);
  if (!["auto", "kvm", "tcg"].includes(config.accelerator)) {
    throw new Error(`accelerator is ${quote(config.accelerator)}, expected "auto", "kvm" or "tcg"`);
  }
  for (const [key, least] of [
    ["vcpus", 1],
    ["memory_in_mb", 64],
    ["boot_timeout_in_ms", 100],
  ] as const) {
    if (!Number.isInteger(config[key]) || config[key] < least) {
      throw new Error(`${key} is ${config[key]}, expected a whole number from ${least} on`);
    }
  }
  return config;
}
