import type { VmmConfig } from "../../config.ts";
import type { MachinePlan } from "../hypervisor.ts";
import { DRIVE_CONTROLLER } from "./drives.ts";
import { portSocket, qmpSocket } from "./machine-files.ts";
import { findMachineType, type MachineType } from "./machine-type.ts";
import { asArgument, memoryBackend } from "./memory-backend.ts";

const MEBIBYTE = 1024 * 1024;
/** What an emulated machine may keep of code that it has translated: QEMU's own limit is 1 GiB. A boot and a shell take 50. */
const TRANSLATIONS_MIB = 128;

export interface CommandLineParts {
  readonly plan: MachinePlan;
  readonly config: VmmConfig;
  readonly kvm: boolean;
  readonly channel: QemuChannel;
  /** Of the guest's kernel. */
  readonly parameters: readonly string[];
}

/** The channel to the guest: a virtio port, or the kernel's vsock. */
export type QemuChannel =
  | { readonly kind: "port"; readonly name: string }
  | { readonly kind: "vsock"; readonly cid: number };

/** QEMU's arguments. https://www.qemu.org/docs/master/system/invocation.html */
export function commandLine(parts: CommandLineParts): string[] {
  const { plan } = parts;
  return [
    ["-name", `${plan.name},process=kuasar-vm`],
    ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    machine(parts),
    memory(parts),
    kernel(parts),
    control(parts),
    channelDevice(parts),
    entropy(parts.config),
    ...plan.shares.map(({ tag, socket }, i) => [
      ...["-chardev", `socket,id=share${i},path=${socket}`],
      ...["-device", `vhost-user-fs-pci,chardev=share${i},tag=${tag}`],
    ]),
    ...plan.interfaces.map(({ tap, mac }, i) => [
      ...["-netdev", `tap,id=net${i},ifname=${tap},script=no,downscript=no`],
      ...["-device", `virtio-net-pci,netdev=net${i},mac=${mac},romfile=`],
    ]),
    DRIVE_CONTROLLER,
  ].flat();
}

/** The config has been checked: it names one that there is. */
export function machineType({ machine_type }: VmmConfig): MachineType {
  const [name = ""] = machine_type.split(",");
  const type = findMachineType(name);
  if (type === undefined) throw new Error(`machine_type ${name}: expected one that the config's check knows`);
  return type;
}

/** Whether a machine is made so that processors and memory can be plugged in. */
export const grows = (config: VmmConfig): boolean => machineType(config).growable && config.mem_slots > 0;

/**
 * A processor's best way to move memory (rep movsb) is emulated a byte at a time: a kernel and a libc that are not told of it
 * (Enhanced REP MOVSB) move eight and more. Whatever is copied in the guest takes a quarter of the time, or less.
 */
const EMULATED_FEATURES: Partial<Record<MachineType["arch"], string>> = { x64: "-erms,-fsrm" };

function machine({ plan, config, kvm }: CommandLineParts): string[] {
  const { name, options, arch } = machineType(config);
  const asked = [...config.machine_type.split(",").slice(1), config.machine_accelerators].filter((word) => word !== "");
  // What QEMU can emulate at best is what "host" is with KVM.
  const model = !kvm && config.cpu_model === "host" ? "max" : config.cpu_model;
  return [
    ...["-machine", [name, ...options, ...asked, "memory-backend=memory"].join(",")],
    ...["-accel", kvm ? "kvm" : `tcg,thread=multi,tb-size=${TRANSLATIONS_MIB}`],
    ...["-cpu", [model, kvm ? "" : EMULATED_FEATURES[arch], config.cpu_features].filter(Boolean).join(",")],
    ...["-smp", `${plan.vcpus}${grows(config) ? `,maxcpus=${plan.largest.vcpus}` : ""}`],
    ...(config.firmware_path === "" ? [] : ["-bios", config.firmware_path]),
  ];
}

function memory({ plan, config }: CommandLineParts): string[] {
  const room =
    grows(config) && plan.largest.memoryMiB > plan.memoryMiB
      ? `,slots=${config.mem_slots},maxmem=${plan.largest.memoryMiB}M`
      : "";
  return [
    ...["-m", `${plan.memoryMiB}M${room}`],
    ...["-object", asArgument(memoryBackend(config, "memory", plan.memoryMiB * MEBIBYTE))],
    ...(config.enable_swap ? [] : ["-overcommit", "mem-lock=on"]),
  ];
}

/** For the guest's kernel, whatever the machine (Documentation/admin-guide/kernel-parameters.txt of Linux). */
const KERNEL_PARAMETERS = [
  "rdinit=/sysroot/sbin/vmm-task",
  // Not tmpfs, whose files tell an OCI runtime that they can be written to even where they cannot (vmm-task's boot.ts).
  "rootfstype=ramfs",
  "panic=-1",
];
/** For it to boot sooner: the ciphers' self tests are a fifth of an emulated boot. */
const SOONER_PARAMETERS = ["cryptomgr.notests"];
const EMULATED_PARAMETERS = [
  // Against processors that are looked into from beside: an emulated one keeps no secrets in any case, and works at each.
  "mitigations=off",
  // The kernel would rewrite itself for one processor, and all that is rewritten is translated again.
  "noreplace-smp",
];
/** What a kernel boots as well without, for comparison. */
export const DISPENSABLE_PARAMETERS: readonly string[] = [...SOONER_PARAMETERS, ...EMULATED_PARAMETERS];
/** Where memory may come to lie above 4 GiB, 64 MiB would be set aside for devices that reach no further: there are none. */
const GROWING_PARAMETERS = ["swiotlb=noforce"];

function kernel({ plan, config, kvm, parameters }: CommandLineParts): string[] {
  const { console, kernelWords } = machineType(config);
  const words = [
    ...KERNEL_PARAMETERS,
    ...SOONER_PARAMETERS,
    ...kernelWords,
    ...(kvm ? [] : EMULATED_PARAMETERS),
    `console=${console}`,
    ...(config.debug ? [] : ["quiet"]),
    ...(grows(config) ? GROWING_PARAMETERS : []),
  ];
  return ["-kernel", plan.kernel, "-initrd", plan.initrd, "-append", [...words, ...parameters].join(" ")];
}

/** The guest's console, and QEMU's own control. */
function control({ plan: { directory } }: CommandLineParts): string[] {
  return [
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...[
      "-chardev",
      `socket,id=qmp,path=${qmpSocket(directory)},server=on,wait=off`,
      "-mon",
      "chardev=qmp,mode=control",
    ],
  ];
}

function channelDevice({ plan: { directory }, channel }: CommandLineParts): string[] {
  if (channel.kind === "vsock") return ["-device", `vhost-vsock-pci,guest-cid=${channel.cid}`];
  return [
    ...["-chardev", `socket,id=agent,path=${portSocket(directory)},server=on,wait=off`],
    ...["-device", "virtio-serial-pci,id=serial", "-device", `virtserialport,chardev=agent,name=${channel.name}`],
  ];
}

const entropy = ({ entropy_source }: VmmConfig): string[] => [
  ...["-object", `rng-random,id=rng,filename=${entropy_source}`],
  ...["-device", "virtio-rng-pci,rng=rng"],
];
