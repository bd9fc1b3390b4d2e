/** A kind of machine that QEMU can be: what its drivers need to know of it. */
export interface MachineType {
  readonly name: string;
  /** Node's name of the processor's architecture. */
  readonly arch: NodeJS.Architecture;
  /** Options of -machine that make it fit. */
  readonly options: readonly string[];
  /** The guest kernel's name of the serial port. */
  readonly console: string;
  /** More words for the guest kernel's command line. */
  readonly kernelWords: readonly string[];
  /** Processors and memory can be added while it runs. */
  readonly growable: boolean;
  /** Emulated, it has nothing that its kernel could measure the time stamp counter with. */
  readonly needsTscFrequency: boolean;
}

/** A new one is an entry here. https://www.qemu.org/docs/master/system/targets.html */
const MACHINE_TYPES: readonly MachineType[] = [
  {
    name: "microvm",
    arch: "x64",
    // By ACPI the kernel finds its devices: Debian's takes none from its command line.
    options: ["acpi=on", "pcie=on"],
    console: "ttyS0",
    // It has no device that restarts it, and the kernel tries them all, for seconds or for ever. A triple fault does it.
    kernelWords: ["reboot=t"],
    growable: false,
    needsTscFrequency: true,
  },
  {
    name: "q35",
    arch: "x64",
    options: [],
    console: "ttyS0",
    kernelWords: [],
    growable: true,
    needsTscFrequency: false,
  },
  { name: "pc", arch: "x64", options: [], console: "ttyS0", kernelWords: [], growable: true, needsTscFrequency: false },
  {
    name: "virt",
    arch: "arm64",
    options: ["gic-version=max"],
    console: "ttyAMA0",
    kernelWords: [],
    // Memory could grow, processors cannot (QEMU 7.2).
    growable: false,
    needsTscFrequency: false,
  },
];

export function findMachineType(name: string): MachineType | undefined {
  return MACHINE_TYPES.find((type) => type.name === name);
}

export const describeMachineTypes = (): string => `one of ${MACHINE_TYPES.map(({ name }) => name).join(", ")}`;
