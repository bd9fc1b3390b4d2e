import { missingForMachines } from "./machine-needs.ts";

/** A sandboxer as it is installed: upstream Kuasar's program names, sockets and folders. */
export interface SandboxerKind {
  /** The value of `sandboxer` in the runtime's options. */
  readonly kind: string;
  readonly program: string;
  readonly socket: string;
  readonly directory: string;
  /** What of a machine it cannot do without, and this one lacks, with where to get it. Without it is not installed. */
  missing?(): string[];
  /** It boots a kernel and an initial ramdisk, which `kuasar install` makes. */
  readonly guestImage?: true;
}

/** A new sandboxer is one line here: install, doctor and demo go by this table. */
export const sandboxerKinds: readonly SandboxerKind[] = [
  { kind: "runc", program: "runc-sandboxer", socket: "/run/runc-sandboxer.sock", directory: "/run/kuasar-runc" },
  { kind: "wasm", program: "wasm-sandboxer", socket: "/run/wasm-sandboxer.sock", directory: "/run/kuasar-wasm" },
  {
    kind: "vmm",
    program: "vmm-sandboxer",
    socket: "/run/vmm-sandboxer.sock",
    directory: "/run/kuasar-vmm",
    missing: missingForMachines,
    guestImage: true,
  },
];
