import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import { findProgram } from "@kuasar/framework/proc/find-program";
import type { VmmConfig } from "../../config.ts";
import type { Capabilities, Hypervisor, Launch } from "../hypervisor.ts";
import { whyNoKvm } from "../kvm.ts";
import { commandLine, machineType } from "./command-line.ts";
import { attachDrive, detachDrive, MOST_DRIVES } from "./drives.ts";
import { portSocket, qmpSocket } from "./machine-files.ts";
import { runQmp } from "./qmp.ts";

const PORT_NAME = "kuasar";

/** QEMU: with KVM where the host has it, and by translation (TCG) where not. */
export function createQemu(config: VmmConfig, tscKhz: () => number): Hypervisor {
  const type = machineType(config);
  const kvm = () => config.accelerator === "kvm" || (config.accelerator === "auto" && whyNoKvm() === "");

  function program(): string {
    const found = findProgram(config.qemu_path);
    if (found === undefined) {
      throw failedPrecondition(
        `the hypervisor ${config.qemu_path} is not an executable file: install qemu-system-x86, or set "qemu_path"`,
      );
    }
    return found;
  }

  return {
    name: "qemu",

    capabilities(): Capabilities {
      program();
      const missing = whyNoKvm();
      if (config.accelerator === "kvm" && missing !== "") {
        throw failedPrecondition(`accelerator is "kvm", and this host has ${missing}`);
      }
      return {
        sharedFolders: true,
        drives: MOST_DRIVES,
        pause: true,
        emulated: kvm() ? "" : `emulated (TCG): ${missing || 'accelerator is "tcg"'}`,
      };
    },

    launch(plan): Launch {
      const channel = `virtio:${PORT_NAME}`;
      const parameters = [...plan.kernelParameters, `kuasar.channel=${channel}`];
      if (!kvm() && type.needsTscFrequency) parameters.push(`tsc_early_khz=${tscKhz()}`);
      return {
        argv: [program(), ...commandLine({ plan, config, kvm: kvm(), portName: PORT_NAME, parameters })],
        channel,
        agent: { kind: "unix", path: portSocket(plan.directory) },
      };
    },

    pause: (directory) => runQmp(qmpSocket(directory), "stop"),
    resume: (directory) => runQmp(qmpSocket(directory), "cont"),
    attachDrive: (directory, slot, drive) => attachDrive(qmpSocket(directory), slot, drive),
    detachDrive: (directory, slot) => detachDrive(qmpSocket(directory), slot),
  };
}
