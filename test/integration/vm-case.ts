import { join } from "node:path";
import { writeGuestImage } from "@kuasar/install/guest-image";
import { cacheDirectory, vmmParts } from "@kuasar/install/parts";
import { guestImageIn } from "@kuasar/vmm-sandboxer/machine/guest-image";
import { type RuntimeCase, runtimeCases } from "./runtime-case.ts";

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

async function machineConfig(keys: object = {}) {
  const { kernel } = await vmmParts();
  const output = join(cacheDirectory(), "guest-image");
  await writeGuestImage({ output, kernel: kernel.image, modules: kernel.modules, ociRuntime: "crun" });
  return { hypervisor: { ...guestImageIn(output), ...keys } };
}
