import { cachedGuestImage } from "@kuasar/install/guest-image";
import { patience } from "@kuasar/install/wait-until";
import { guestImageIn } from "@kuasar/vmm-sandboxer/machine/guest-image";
import type { TomlTable } from "smol-toml";
import { oneOf, type RuntimeCase, runtimeCases } from "./runtime-case.ts";

/** Of every virtual machine of the tests. */
export interface VmVariant {
  /** Whether it is an error if machines are not run by KVM. */
  readonly kvm: boolean;
  /** Whether the channel to the guest is the kernel's vsock. */
  readonly vsock: boolean;
  /** How containers' root file systems come to the guest, where a test does not say. */
  readonly rootfs: "VirtioFS" | "Block";
}

/** KUASAR_TEST_ACCELERATOR=kvm, KUASAR_TEST_CHANNEL=vsock, KUASAR_TEST_ROOTFS=Block */
export const vmVariant: VmVariant = {
  kvm: oneOf("KUASAR_TEST_ACCELERATOR", "auto", "kvm") === "kvm",
  vsock: oneOf("KUASAR_TEST_CHANNEL", "virtio", "vsock") === "vsock",
  rootfs: oneOf("KUASAR_TEST_ROOTFS", "VirtioFS", "Block"),
};

/** The ways that containerd comes to the shim, with the vmm sandboxer behind it. */
export const vmCases: readonly RuntimeCase[] = runtimeCases
  .filter(({ sandboxer }) => sandboxer)
  .map((runtimeCase) => ({
    ...runtimeCase,
    title: `a virtual machine behind ${runtimeCase.title}`,
    handler: `${runtimeCase.handler}-vmm`,
    program: "vmm-sandboxer",
    config: () => machineConfig(),
  }));

/** The first of them, whose machines can be looked into. */
export const debuggable: RuntimeCase = { ...(vmCases[0] as RuntimeCase), config: () => machineConfig({ debug: true }) };

/** Made once a run: an emulated processor takes a while to unpack a kernel. */
let image: ReturnType<typeof cachedGuestImage> | undefined;

async function machineConfig(keys: object = {}) {
  image ??= cachedGuestImage();
  const { folder } = await image;
  return {
    hypervisor: {
      ...guestImageIn(folder),
      accelerator: vmVariant.kvm ? "kvm" : "auto",
      use_vsock: vmVariant.vsock,
      rootfs: vmVariant.rootfs,
      boot_timeout_in_ms: 60_000 * patience,
      ...keys,
    },
  };
}

/** The same with other keys in the config's table of the hypervisor. */
export function withHypervisor(runtimeCase: RuntimeCase, keys: TomlTable): RuntimeCase {
  const config = async () => {
    const { hypervisor, ...rest } = (await runtimeCase.config?.()) ?? {};
    return { ...rest, hypervisor: { ...(hypervisor as TomlTable | undefined), ...keys } };
  };
  return { ...runtimeCase, config };
}
