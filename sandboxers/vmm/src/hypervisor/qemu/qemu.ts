import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import { findProgram } from "@kuasar/framework/proc/find-program";
import type { VmmConfig } from "../../config.ts";
import type { Capabilities, Hypervisor, Launch } from "../hypervisor.ts";
import { whyNoKvm } from "../kvm.ts";
import { commandLine, grows, machineType } from "./command-line.ts";
import { attachDrive, detachDrive, MOST_DRIVES } from "./drives.ts";
import { growMachine, MEMORY_BLOCK_MIB } from "./grow-machine.ts";
import { launchFiles, portSocket, qmpSocket, VHOST_VSOCK } from "./machine-files.ts";
import type { MachineType } from "./machine-type.ts";
import { openQmp, runQmp } from "./qmp.ts";

const PORT_NAME = "kuasar";
const VSOCK_PORT = 1024;
/** 0 to 2 are the hypervisor's, the loopback and the host; the last is nobody's. vsock(7) */
const CID_FIRST = 3;
const CID_END = 0xffff_ffff;
/** hw/virtio/vhost-vsock.c */
const CID_TAKEN = "unable to set guest cid";

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
      if (config.use_vsock && !existsSync(VHOST_VSOCK)) {
        throw failedPrecondition(`use_vsock is true, and this host has no ${VHOST_VSOCK}: load the module vhost_vsock`);
      }
      return {
        sharedFolders: true,
        drives: MOST_DRIVES,
        pause: true,
        memoryBlockMiB: MEMORY_BLOCK_MIB,
        fixedSize: grows(config) ? "" : whyFixed(type, config),
        emulated: kvm() ? "" : `emulated (TCG): ${missing || 'accelerator is "tcg"'}`,
      };
    },

    launch(plan): Launch {
      // The kernel refuses one that another machine of the host has, whoever runs it; among so many that is rare.
      const cid = config.use_vsock ? randomInt(CID_FIRST, CID_END) : undefined;
      const channel = cid === undefined ? `virtio:${PORT_NAME}` : `vsock:${VSOCK_PORT}`;
      const path = portSocket(plan.directory);
      const parameters = [...plan.kernelParameters, `kuasar.channel=${channel}`];
      if (!kvm() && type.needsTscFrequency) parameters.push(`tsc_early_khz=${tscKhz()}`);
      const qemu = program();
      return {
        files: launchFiles({ program: qemu, plan, config, kvm: kvm() }),
        argv: [
          qemu,
          ...commandLine({
            plan,
            config,
            kvm: kvm(),
            channel: cid === undefined ? { kind: "port", name: PORT_NAME } : { kind: "vsock", cid },
            parameters,
          }),
        ],
        channel,
        agent: cid === undefined ? { kind: "unix", path } : { kind: "hybrid-vsock", path, port: VSOCK_PORT },
        ...(cid !== undefined && { vsock: { cid, takenText: CID_TAKEN } }),
      };
    },

    setState: (directory, state) => runQmp(qmpSocket(directory), state === "paused" ? "stop" : "cont"),
    attachDrive: (directory, slot, drive) => attachDrive(qmpSocket(directory), slot, drive),
    detachDrive: (directory, slot) => detachDrive(qmpSocket(directory), slot),
    grow: (directory, size) => openQmp(qmpSocket(directory), (qmp) => growMachine(qmp, config, size)),
  };
}

function whyFixed({ name, growable }: MachineType, { mem_slots }: VmmConfig): string {
  return growable
    ? `mem_slots is ${mem_slots}`
    : `nothing can be plugged into a machine of type ${name}: machine_type q35 is one that can grow`;
}
