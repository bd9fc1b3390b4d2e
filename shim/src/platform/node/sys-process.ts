import { constants } from "node:os";
import type { Child } from "./child.ts";
import { attempt, call, callOn, currentKernel, Out, ownKernel, sysError } from "./kernel.ts";

/** Of shim/native/sys_process.c. What only a process with one thread can do is left to a child (child.ts). */

const { ECHILD, EINVAL, EPERM } = constants.errno;
const WNOHANG = 1;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const CAPABILITIES_MAX = 64;
const CAPABILITY_VERSION_3 = 0x20080522;
/** Linux 6.15: struct pidfd_info, and what asks for its exit_code. */
const PIDFD_GET_INFO = 0xc048ff0b;
const PIDFD_INFO_BYTES = 72;
const PIDFD_INFO_EXIT_CODE = 60;
const PIDFD_INFO_EXIT = 1n << 3n;

function child(what: string): Child {
  const kernel = currentKernel();
  if (kernel === ownKernel) throw new Error(`${what}: a process of Node cannot do this itself`);
  return kernel as Child;
}

/** Where the native call returns twice, this one returns in the child only: whoever made it ends with status 0. */
export function fork(flags: number, cgroup: number): number {
  child("fork").fork(flags, cgroup);
  return 0;
}

export function exec(program: string | number, argv: readonly string[], env: readonly string[]): never {
  return child("exec").execute(program, argv, env);
}

export function exit(status: number): never {
  return currentKernel().exit(status);
}

/** It saves milliseconds; whoever runs the shim on Node can spare them. */
export function hastenCgroupMoves(): void {}

/** From wait(2)'s status. */
function exitStatus(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

export function waitChild(): [pid: number, status: number] | null {
  const status = new Int32Array(1);
  const pid = attempt("wait4", -1, new Out(new Uint8Array(status.buffer)), WNOHANG, 0);
  if (pid === 0 || pid === -ECHILD) return null;
  if (pid < 0) throw sysError(-pid, "wait4");
  return [pid, exitStatus(status[0] as number)];
}

export function kill(pid: number, signal: number): void {
  call("kill", pid, signal);
}

export function pidfdOpen(pid: number): number {
  return call("pidfd_open", pid, 0);
}

export function pidfdSignal(fd: number, signal: number): void {
  call("pidfd_send_signal", fd, signal, 0, 0);
}

export function pidfdExitStatus(fd: number): number {
  const info = new DataView(new ArrayBuffer(PIDFD_INFO_BYTES));
  info.setBigUint64(0, PIDFD_INFO_EXIT, true);
  const failed = attempt("ioctl", fd, PIDFD_GET_INFO, new Out(new Uint8Array(info.buffer)));
  if (failed < 0 || !(info.getBigUint64(0, true) & PIDFD_INFO_EXIT)) return -1;
  return exitStatus(info.getInt32(PIDFD_INFO_EXIT_CODE, true));
}

export function getpid(): number {
  return process.pid;
}

export function getppid(): number {
  return process.ppid;
}

export function getuid(): number {
  return process.geteuid?.() ?? 0;
}

export function setsid(): void {
  call("setsid");
}

export function setpgid(pid: number, group: number): void {
  call("setpgid", pid, group);
}

export function prctl(option: number, argument: number): void {
  call("prctl", option, argument, 0, 0, 0);
}

export function setLimit(resource: number, soft: number, hard: number): void {
  const limit = BigUint64Array.of(BigInt.asUintN(64, BigInt(soft)), BigInt.asUintN(64, BigInt(hard)));
  callOn("setrlimit", "prlimit64", 0, resource, new Uint8Array(limit.buffer), 0);
}

export function setns(fd: number, type: number): void {
  call("setns", fd, type);
}

export function unshare(flags: number): void {
  call("unshare", flags);
}

export function setHostname(name: string): void {
  callOn(name, "sethostname", name, Buffer.byteLength(name));
}

export function setDomainname(name: string): void {
  callOn(name, "setdomainname", name, Buffer.byteLength(name));
}

export function setUser(uid: number, gid: number, additionalGids: readonly number[]): void {
  const groups = Uint32Array.from(additionalGids);
  call("setgroups", groups.length, new Uint8Array(groups.buffer));
  call("setresgid", gid, gid, gid);
  call("setresuid", uid, uid, uid);
}

export function limitBounding(capabilities: readonly number[]): void {
  for (let number = 0; number < CAPABILITIES_MAX; number++) {
    if (capabilities.includes(number)) continue;
    const failed = -attempt("prctl", PR_CAPBSET_DROP, number, 0, 0, 0);
    // The first number that this kernel does not have.
    if (failed === EINVAL) return;
    if (failed === EPERM && attempt("prctl", PR_CAPBSET_READ, number, 0, 0, 0) === 1) {
      throw sysError(failed, "prctl", "PR_CAPBSET_DROP");
    }
  }
}

export function setCapabilities(capabilities: readonly number[]): void {
  const mask = capabilities.reduce((all, number) => all | (1n << BigInt(number)), 0n);
  const [low, high] = [Number(mask & 0xffffffffn), Number(mask >> 32n)];
  const header = Uint32Array.of(CAPABILITY_VERSION_3, 0);
  // Effective, permitted, inheritable; the lower half of each first.
  const sets = Uint32Array.of(low, low, 0, high, high, 0);
  call("capset", new Uint8Array(header.buffer), new Uint8Array(sets.buffer));
}

export function setSeccomp(filter: ArrayBuffer): void {
  child("setSeccomp").setSeccomp(new Uint8Array(filter));
}

export function keepOnly(fds: readonly number[]): void {
  child("keepOnly").keepOnly(fds);
}
