import { statSync } from "node:fs";
import { invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { Namespace } from "../monitor/monitor.ts";

const IPC_SYSCTLS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

// A separator is never beside another: the name becomes a path below /proc/sys.
const NAME = /^[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*$/;

/**
 * Throws INVALID_ARGUMENT for a sysctl that is not confined to a namespace of the pod: setting it would change the
 * host. Contract: runc's `libcontainer/configs/validate`, `sysctl`.
 */
export function checkSysctls(
  sysctls: Readonly<Record<string, string>>,
  namespaces: readonly Namespace[],
  id: string,
): void {
  for (const name of Object.keys(sysctls)) {
    const reason = NAME.test(name) ? refuse(sysctlName(name), namespaces) : "is not the name of a sysctl";
    if (reason !== undefined) {
      throw invalidArgument(`sandbox ${id}: sysctl ${quote(name)} ${reason}`);
    }
  }
}

/** `net/ipv4/ip_forward` is the same as `net.ipv4.ip_forward`: the first separator decides, as in sysctl(8). */
function sysctlName(name: string): string {
  const slash = name.indexOf("/");
  const dot = name.indexOf(".");
  if (slash === -1 || (dot !== -1 && dot < slash)) {
    return name;
  }
  return name.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/"));
}

function refuse(name: string, namespaces: readonly Namespace[]): string | undefined {
  const has = (type: Namespace["type"]) => namespaces.some((namespace) => namespace.type === type);
  if (IPC_SYSCTLS.has(name) || name.startsWith("fs.mqueue.")) {
    return has("ipc") ? undefined : "needs an ipc namespace of the pod, which shares the host's";
  }
  if (name.startsWith("net.")) {
    const network = namespaces.find(({ type }) => type === "network");
    const own = network !== undefined && !isOwnNetwork(network.path);
    return own ? undefined : "needs a network namespace of the pod, which shares the host's";
  }
  if (name === "kernel.domainname") {
    return has("uts") ? undefined : "needs a uts namespace of the pod, which shares the host's";
  }
  if (name === "kernel.hostname") {
    return "is set by the hostname field";
  }
  return "is not confined to a namespace";
}

function isOwnNetwork(path: string): boolean {
  if (path === "") {
    return false;
  }
  try {
    const theirs = statSync(path);
    const own = statSync("/proc/self/ns/net");
    return theirs.ino === own.ino && theirs.dev === own.dev;
  } catch {
    return false;
  }
}
