import { readFileSync } from "node:fs";

const [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM] = [1, 2, 3, 10, 12, 14, 15];
const ENDING = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM];

/**
 * Whether a signal, by which any other process would end, does nothing to this one: the kernel spares the first
 * process of a pid namespace what it has no handler for (pid_namespaces(7)). A module has no signals, and an engine no
 * handlers for them: a container would be deaf to everything but SIGKILL.
 */
export function isDeafTo(pid: number, signal: number): boolean {
  if (!ENDING.includes(signal)) {
    return false;
  }
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return false;
  }
  const pids = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
  const bit = 1n << BigInt(signal - 1);
  const has = (field: string) =>
    (BigInt(`0x${new RegExp(`^${field}:\\s+([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`) & bit) !== 0n;
  return pids.length > 1 && pids.at(-1) === "1" && !has("SigCgt") && !has("SigIgn");
}
