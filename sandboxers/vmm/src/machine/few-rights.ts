import { readFileSync } from "node:fs";
import type { Credentials, Namespace } from "@kuasar/framework/monitor/monitor";

/** Numbers of linux/capability.h. */
const CAP = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  DAC_READ_SEARCH: 2,
  FOWNER: 3,
  FSETID: 4,
  SETGID: 6,
  SETUID: 7,
  SETPCAP: 8,
  IPC_LOCK: 14,
  SYS_CHROOT: 18,
  SYS_RESOURCE: 24,
  MKNOD: 27,
  SETFCAP: 31,
} as const;

function ownCapabilities(): bigint {
  const [, mask = "0"] = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return BigInt(`0x${mask}`);
}

const asRoot = (capabilities: readonly number[]): Credentials => ({
  uid: 0,
  gid: 0,
  additionalGids: [],
  // None that a container engine has taken from all that runs here: to ask for one is refused.
  capabilities: capabilities.filter((capability) => (ownCapabilities() >> BigInt(capability)) & 1n),
  noNewPrivileges: true,
});

/**
 * Of the process that a guest may have taken over: what is root's by owner it can open (its sockets, disks, /dev/kvm), and
 * nothing else is left of root. A tap without an owner is anybody's who is in its network namespace.
 *
 * @param locksMemory the guest's memory is locked, which takes a right of its own
 */
export const hypervisorRights = (locksMemory: boolean): Credentials => asRoot(locksMemory ? [CAP.IPC_LOCK] : []);

/** It sees no process but itself, so that it can signal none, no System V IPC of the host's, and few files: machineRoot. */
export const HYPERVISOR_NAMESPACES: readonly Namespace[] = [
  { type: "mount", path: "" },
  { type: "pid", path: "" },
  { type: "ipc", path: "" },
  { type: "uts", path: "" },
];

/**
 * Of the server of the machine's files: it takes on the users of the guest, and their files' owners and modes; it locks itself
 * into the share, and drops what it does not need after that.
 */
export const virtiofsdRights = (): Credentials =>
  asRoot([
    ...[CAP.CHOWN, CAP.DAC_OVERRIDE, CAP.DAC_READ_SEARCH, CAP.FOWNER, CAP.FSETID, CAP.SETGID, CAP.SETUID, CAP.SETPCAP],
    ...[CAP.SYS_CHROOT, CAP.SYS_RESOURCE, CAP.MKNOD, CAP.SETFCAP],
  ]);
