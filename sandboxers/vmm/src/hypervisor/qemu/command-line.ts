import type { VmmConfig } from "../../config.ts";
import type { MachinePlan } from "../hypervisor.ts";
import { DRIVE_CONTROLLER } from "./drives.ts";
import { portSocket, qmpSocket } from "./machine-files.ts";
import { findMachineType, type MachineType } from "./machine-type.ts";

export interface CommandLineParts {
  readonly plan: MachinePlan;
  readonly config: VmmConfig;
  readonly kvm: boolean;
  /** Of the virtio port that is the channel to the guest. */
  readonly portName: string;
  /** Of the guest's kernel. */
  readonly parameters: readonly string[];
}

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

function machine({ plan, config, kvm }: CommandLineParts): string[] {
  const { name, options } = machineType(config);
  const asked = [...config.machine_type.split(",").slice(1), config.machine_accelerators].filter((word) => word !== "");
  // What QEMU can emulate at best is what "host" is with KVM.
  const model = !kvm && config.cpu_model === "host" ? "max" : config.cpu_model;
  return [
    ...["-machine", [name, ...options, ...asked, "memory-backend=memory"].join(",")],
    ...["-accel", kvm ? "kvm" : "tcg,thread=multi"],
    ...["-cpu", [model, config.cpu_features].filter((word) => word !== "").join(",")],
    ...["-smp", String(plan.vcpus)],
    ...(config.firmware_path === "" ? [] : ["-bios", config.firmware_path]),
  ];
}

function memory({ plan, config }: CommandLineParts): string[] {
  return [
    ...["-m", `${plan.memoryMiB}M`],
    ...["-object", `${memoryBackend(config)},id=memory,size=${plan.memoryMiB}M`],
    ...(config.enable_swap ? [] : ["-overcommit", "mem-lock=on"]),
  ];
}

/** Shared, since a share's file server reads and writes the guest's memory. */
function memoryBackend({ memory_path, hugepages, mem_prealloc }: VmmConfig): string {
  const kind = memory_path === "" ? "memory-backend-memfd" : `memory-backend-file,mem-path=${memory_path}`;
  return [kind, "share=on", ...(hugepages ? ["hugetlb=on"] : []), ...(mem_prealloc ? ["prealloc=on"] : [])].join(",");
}

/** For the guest's kernel, whatever the machine (Documentation/admin-guide/kernel-parameters.txt of Linux). */
const KERNEL_PARAMETERS = [
  "rdinit=/sysroot/sbin/vmm-task",
  // Not tmpfs, whose files tell an OCI runtime that they can be written to even where they cannot (vmm-task's boot.ts).
  "rootfstype=ramfs",
  "panic=-1",
  // The ciphers' self tests are half of an emulated kernel's boot.
  "cryptomgr.notests",
];
/** Against processors that are looked into from beside: an emulated one keeps no secrets in any case, and works at each. */
const EMULATED_PARAMETERS = ["mitigations=off"];

function kernel({ plan, config, kvm, parameters }: CommandLineParts): string[] {
  const { console, kernelWords } = machineType(config);
  const words = [
    ...KERNEL_PARAMETERS,
    ...kernelWords,
    ...(kvm ? [] : EMULATED_PARAMETERS),
    `console=${console}`,
    ...(config.debug ? [] : ["quiet"]),
  ];
  return ["-kernel", plan.kernel, "-initrd", plan.initrd, "-append", [...words, ...parameters].join(" ")];
}

/** The guest's console, QEMU's own control, and the channel to vmm-task. */
function control({ plan: { directory }, portName }: CommandLineParts): string[] {
  return [
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...[
      "-chardev",
      `socket,id=qmp,path=${qmpSocket(directory)},server=on,wait=off`,
      "-mon",
      "chardev=qmp,mode=control",
    ],
    ...["-chardev", `socket,id=agent,path=${portSocket(directory)},server=on,wait=off`],
    ...["-device", "virtio-serial-pci,id=serial", "-device", `virtserialport,chardev=agent,name=${portName}`],
  ];
}

const entropy = ({ entropy_source }: VmmConfig): string[] => [
  ...["-object", `rng-random,id=rng,filename=${entropy_source}`],
  ...["-device", "virtio-rng-pci,rng=rng"],
];
