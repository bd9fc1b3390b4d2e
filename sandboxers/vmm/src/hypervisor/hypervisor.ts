import type { Size } from "../size/pod-size.ts";

/** What a machine is made of, in the words of no hypervisor in particular. Paths are the host's. */
export interface MachinePlan {
  /** For the hypervisor's own titles; the sandbox's id. */
  readonly name: string;
  /** For sockets of this machine only: the one folder that the hypervisor may write to. */
  readonly directory: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly kernelParameters: readonly string[];
  readonly vcpus: number;
  readonly memoryMiB: number;
  /** What it may grow to, where it can. */
  readonly largest: Size;
  readonly interfaces: readonly TapInterface[];
  /** Folders that the guest mounts by their tags. */
  readonly shares: readonly SharedFolder[];
}

export interface TapInterface {
  /** The tap device, in the network namespace that the hypervisor runs in. */
  readonly tap: string;
  readonly mac: string;
}

export interface SharedFolder {
  readonly tag: string;
  /** Where the share's file server (vhost-user) listens. */
  readonly socket: string;
}

/** A block device of the guest's. */
export interface Drive {
  /** A file or a block device of the host. */
  readonly path: string;
  readonly readOnly: boolean;
  /** What is written must be on the host's disk when the guest has asked for that; false for what lives no longer than the machine. */
  readonly durable: boolean;
}

/** How a machine of a plan comes to be. The guest's console is its standard output, and its own words are on the other. */
export interface Launch {
  readonly argv: readonly string[];
  readonly files: LaunchFiles;
  /** What the guest is told on its kernel's command line of the channel to the host: `virtio:NAME`, `vsock:PORT`. */
  readonly channel: string;
  readonly agent: AgentAddress;
  /** Where the hypervisor leaves it to others to serve a machine's vsock at the agent's path. */
  readonly vsock?: VsockDevice;
}

/**
 * What a hypervisor finds of the host's files, at the same places, beside its machine's folder, shares and drives, and the
 * host's libraries (/usr, /lib).
 */
export interface LaunchFiles {
  /** Files and folders to read from. */
  readonly readOnly: readonly string[];
  /** Devices, and folders to make files in. */
  readonly writable: readonly string[];
}

/** The kernel's own (vhost), vsock(7). */
export interface VsockDevice {
  readonly cid: number;
  /** What the hypervisor says last where the context id is another machine's: the next launch has another one. */
  readonly takenText: string;
}

/** Where the host finds vmm-task. */
export type AgentAddress =
  /** A stream with a greeting, one at a time: a virtio port's. */
  | { readonly kind: "unix"; readonly path: string }
  /** `CONNECT port`, answered by `OK`, any number of times. */
  | { readonly kind: "hybrid-vsock"; readonly path: string; readonly port: number };

/** What a hypervisor can do beyond starting a machine; whoever wants to know asks here. */
export interface Capabilities {
  /** Folders of the host in the guest (virtio-fs). */
  readonly sharedFolders: boolean;
  /** How many drives a running machine can be given at a time: by hotplug, or by as many as are ready to be pointed elsewhere. */
  readonly drives: number;
  /** Machines stand still and go on. */
  readonly pause: boolean;
  /** Processors and memory can be added to a machine that runs; "" if so, else why not. */
  readonly fixedSize: string;
  /** Memory is added in multiples of this. */
  readonly memoryBlockMiB: number;
  /** Why machines are slow here; "" where the hardware helps. */
  readonly emulated: string;
}

/** One of the programs that run virtual machines. The process itself is started and watched by the pod's monitor. */
export interface Hypervisor {
  readonly name: string;
  /** FAILED_PRECONDITION if the program, or what it needs of this host, is not there. */
  capabilities(): Capabilities;
  launch(plan: MachinePlan): Launch;
  /** Has a machine stand still, or go on. Harmless if it does already. */
  setState(directory: string, state: "paused" | "running"): Promise<void>;
  /**
   * Gives a running machine a drive, in a slot below `capabilities().drives` that is free. Answers with its address, by
   * which vmm-task finds it (OpenDriveRequest in guest.proto). FAILED_PRECONDITION for a file that cannot be opened so.
   */
  attachDrive(directory: string, slot: number, drive: Drive): Promise<string>;
  /** Takes a drive away, whatever the guest says. Harmless if the slot is free. */
  detachDrive(directory: string, slot: number): Promise<void>;
  /** Adds what a machine lacks of a size, and answers with what it has then. May be called again after any failure. */
  grow(directory: string, size: Size): Promise<Size>;
}
