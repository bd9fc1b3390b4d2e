import { join } from "node:path";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import { findProgram } from "@kuasar/framework/proc/find-program";
import type { VmmConfig } from "../../config.ts";
import type { Capabilities, Hypervisor, Launch, MachinePlan } from "../hypervisor.ts";
import { whyNoKvm } from "../kvm.ts";
import { runQmp } from "./qmp.ts";

const PORT_NAME = "kuasar";

/** QEMU: with KVM where the host has it, and by translation (TCG) where not. */
export function createQemu(config: VmmConfig, tscKhz: () => number): Hypervisor {
  const kvm = () => config.accelerator === "kvm" || (config.accelerator === "auto" && whyNoKvm() === "");

  function program(): string {
    const found = findProgram(config.path);
    if (found === undefined) {
      throw failedPrecondition(
        `the hypervisor ${config.path} is not an executable file: install qemu-system-x86, or set "path"`,
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
        pause: true,
        emulated: kvm() ? "" : `machines are emulated (TCG): ${missing || 'accelerator is "tcg"'}`,
      };
    },

    launch(plan): Launch {
      const agent = join(plan.directory, "agent.sock");
      const channel = `virtio:${PORT_NAME}`;
      const parameters = [...plan.kernelParameters, `kuasar.channel=${channel}`];
      // An emulated machine of this kind has no clock that the kernel could measure its time stamp counter with.
      if (!kvm() && config.machine_type.startsWith("microvm")) {
        parameters.push(`tsc_early_khz=${tscKhz()}`);
      }
      return {
        argv: [program(), ...commandLine(plan, config, kvm(), agent, parameters)],
        channel,
        agent: { kind: "unix", path: agent },
        console: consoleLog(plan.directory),
      };
    },

    pause: (directory) => runQmp(qmpSocket(directory), "stop"),
    resume: (directory) => runQmp(qmpSocket(directory), "cont"),
  };
}

const qmpSocket = (directory: string) => join(directory, "qmp.sock");
const consoleLog = (directory: string) => join(directory, "console.log");

function commandLine(
  plan: MachinePlan,
  { machine_type, debug }: VmmConfig,
  kvm: boolean,
  agent: string,
  parameters: readonly string[],
): string[] {
  const argv = [
    ...["-name", `${plan.name},process=kuasar-vm`],
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...["-machine", `${machine_type},memory-backend=memory`],
    ...(kvm ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg,thread=multi", "-cpu", "max"]),
    ...["-smp", String(plan.vcpus), "-m", `${plan.memoryMiB}M`],
    // Shared, since a share's file server reads and writes the guest's memory.
    ...["-object", `memory-backend-memfd,id=memory,size=${plan.memoryMiB}M,share=on`],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ...["-kernel", plan.kernel, "-initrd", plan.initrd],
    ...[
      "-append",
      ["rdinit=/sysroot/sbin/vmm-task", "console=ttyS0", "panic=-1", debug ? "" : "quiet", ...parameters].join(" "),
    ],
    ...["-chardev", `file,id=console,path=${consoleLog(plan.directory)}`, "-serial", "chardev:console"],
    ...[
      "-chardev",
      `socket,id=qmp,path=${qmpSocket(plan.directory)},server=on,wait=off`,
      "-mon",
      "chardev=qmp,mode=control",
    ],
    ...["-chardev", `socket,id=agent,path=${agent},server=on,wait=off`],
    ...["-device", "virtio-serial-pci,id=serial", "-device", `virtserialport,chardev=agent,name=${PORT_NAME}`],
    ...["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"],
  ];
  plan.shares.forEach(({ tag, socket }, i) => {
    argv.push(
      "-chardev",
      `socket,id=share${i},path=${socket}`,
      "-device",
      `vhost-user-fs-pci,chardev=share${i},tag=${tag}`,
    );
  });
  plan.interfaces.forEach(({ tap, mac }, i) => {
    argv.push("-netdev", `tap,id=net${i},ifname=${tap},script=no,downscript=no`);
    argv.push("-device", `virtio-net-pci,netdev=net${i},mac=${mac},romfile=`);
  });
  plan.drives.forEach(({ path, readOnly }, i) => {
    argv.push("-drive", `if=none,id=drive${i},file=${path},format=raw,readonly=${readOnly ? "on" : "off"}`);
    argv.push("-device", `virtio-blk-pci,drive=drive${i}`);
  });
  return argv;
}
