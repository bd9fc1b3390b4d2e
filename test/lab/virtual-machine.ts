import type { Readable } from "node:stream";
import type { VmParts } from "@kuasar/install/parts";
import { execa } from "execa";
import type { RootImage } from "./root-image.ts";

export interface VirtualMachine {
  readonly root: RootImage;
  /** The disk at /kuasar. */
  readonly checkout: string;
  /** The one disk whose changes stay. */
  readonly exchange: string;
  /** Where kernel and systemd write to. */
  readonly consoleLog: string;
  readonly memoryMiB: number;
  readonly cpus: number;
  /** Whether the guest has /dev/kvm, which QEMU can emulate as AMD's. */
  readonly nestedKvm: boolean;
  readonly deadlineMs: number;
}

/**
 * Boots the machine and waits until it is powered off. Its port `lab` writes to our standard output.
 *
 * @param input what the port is to read, for a shell
 * @throws at its deadline, when it is ended
 */
export async function runVirtualMachine(parts: VmParts, machine: VirtualMachine, input?: Readable): Promise<void> {
  // The machine must not outlive us, nor be in the way of anybody's work.
  const prefix = ["--pdeathsig", "KILL", ...parts.qemu];
  const running = execa("setpriv", [...prefix, ...qemuArguments(machine)], {
    // QEMU closes the port, for output too, where its input ends.
    stdin: "pipe",
    stdout: "inherit",
    timeout: machine.deadlineMs,
    reject: false,
  });
  input?.pipe(running.stdin, { end: false });
  input?.once("end", () => running.stdin.write("\nexit\n"));
  const { timedOut, exitCode, stderr, signal } = await running;
  input?.destroy();
  if (timedOut) throw new Error(`the machine was ended: it took longer than ${machine.deadlineMs / 60_000} minutes`);
  if (exitCode !== 0) throw new Error(`qemu ended with ${exitCode ?? signal}: ${stderr}`);
}

export function qemuArguments(machine: VirtualMachine): string[] {
  const { root } = machine;
  const disks = [
    disk("root", root.disk, "snapshot=on"),
    disk("checkout", machine.checkout, "snapshot=on"),
    disk("exchange", machine.exchange, "cache=unsafe"),
  ];
  // A production node's own choice; what systemd says on the console is for whoever looks into its log.
  const kernel = [
    "root=/dev/vda",
    "rw",
    "console=ttyS0",
    "systemd.unified_cgroup_hierarchy=1",
    "mitigations=off",
    "panic=-1",
  ];
  return [
    ["-machine", "q35"],
    ["-accel", "tcg,thread=multi,tb-size=512"],
    ["-cpu", machine.nestedKvm ? "EPYC,+svm" : "Nehalem"],
    ["-smp", String(machine.cpus)],
    ["-m", String(machine.memoryMiB)],
    ["-nodefaults", "-no-reboot", "-display", "none", "-nic", "none"],
    ["-kernel", root.kernel, "-initrd", root.initrd, "-append", kernel.join(" ")],
    ...disks,
    ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"],
    ["-chardev", "stdio,id=lab,signal=off", "-device", "virtserialport,chardev=lab,name=lab"],
    ["-chardev", `file,id=console,path=${machine.consoleLog}`, "-serial", "chardev:console"],
  ].flat();
}

function disk(serial: string, path: string, option: string): string[] {
  const drive = `if=none,id=${serial},file=${path},format=raw,${option}`;
  return ["-drive", drive, "-device", `virtio-blk-pci,drive=${serial},serial=${serial}`];
}
