import { getSystemErrorMap } from "node:util";
import { exit, systemCall, type Word } from "./libc.ts";

/** System calls by name, and the process that makes them: this one, or a child before it becomes its program. */

/** x86-64's numbers. */
export const NUMBERS = {
  read: 0,
  write: 1,
  close: 3,
  ioctl: 16,
  socket: 41,
  connect: 42,
  recvmsg: 47,
  bind: 49,
  listen: 50,
  socketpair: 53,
  getsockopt: 55,
  execve: 59,
  wait4: 61,
  kill: 62,
  fcntl: 72,
  flock: 73,
  chdir: 80,
  fchdir: 81,
  rename: 82,
  mkdir: 83,
  rmdir: 84,
  unlink: 87,
  fchown: 93,
  umask: 95,
  mknod: 133,
  setpgid: 109,
  setsid: 112,
  setgroups: 116,
  setresuid: 117,
  setresgid: 119,
  capset: 126,
  pivot_root: 155,
  prctl: 157,
  chroot: 161,
  mount: 165,
  umount2: 166,
  sethostname: 170,
  setdomainname: 171,
  clock_gettime: 228,
  exit_group: 231,
  epoll_ctl: 233,
  openat: 257,
  unshare: 272,
  splice: 275,
  epoll_pwait: 281,
  accept4: 288,
  epoll_create1: 291,
  dup3: 292,
  eventfd2: 290,
  pipe2: 293,
  prlimit64: 302,
  setns: 308,
  seccomp: 317,
  memfd_create: 319,
  execveat: 322,
  pidfd_send_signal: 424,
  open_tree: 428,
  move_mount: 429,
  pidfd_open: 434,
  clone3: 435,
  close_range: 436,
  openat2: 437,
  mount_setattr: 442,
} as const;

export type SystemCall = keyof typeof NUMBERS;

/** Bytes that the kernel writes to. */
export class Out {
  constructor(readonly bytes: Uint8Array) {}
}

/** Strings are handed over with a NUL behind them. */
export type Argument = number | bigint | string | Uint8Array | Out;

export interface Kernel {
  /** The result, or the negative error number. */
  call(name: SystemCall, args: readonly Argument[]): number;
  exit(status: number): never;
}

export function bytesOf(argument: string | Uint8Array | Out): Uint8Array {
  if (argument instanceof Out) return argument.bytes;
  if (argument instanceof Uint8Array) return argument;
  if (argument.includes("\0")) throw sysError(EINVAL, "a NUL byte in a string");
  return Buffer.from(`${argument}\0`);
}

function word(argument: Argument): Word {
  return typeof argument === "number" || typeof argument === "bigint" ? BigInt(argument) : bytesOf(argument);
}

/** This process's. */
export const ownKernel: Kernel = {
  call: (name, args) => systemCall(NUMBERS[name], args.map(word)),
  exit,
};

let acting = ownKernel;

/** The one that makes our system calls at the moment. */
export function currentKernel(): Kernel {
  return acting;
}

/** While `action` runs, the calls of {@link call} and {@link attempt} are made by another process. */
export function actingFor<T>(kernel: Kernel, action: () => T): T {
  const before = acting;
  acting = kernel;
  try {
    return action();
  } finally {
    acting = before;
  }
}

const EINTR = 4;
const EINVAL = 22;

/** The result, or the negative error number. */
export function attempt(name: SystemCall, ...args: Argument[]): number {
  for (;;) {
    const result = acting.call(name, args);
    // Of a close that was interrupted nobody knows whether the number has another owner by now.
    if (result !== -EINTR || name === "close") return result;
  }
}

/** The result; throws a SysError that names `subject`, such as a path. */
export function callOn(subject: string, name: SystemCall, ...args: Argument[]): number {
  const result = attempt(name, ...args);
  if (result < 0) throw sysError(-result, name, subject);
  return result;
}

export function call(name: SystemCall, ...args: Argument[]): number {
  return callOn("", name, ...args);
}

/** sys.SysError, of sys.d.ts. */
export function sysError(errno: number, syscall: string, subject = ""): Error {
  const [code, message] = getSystemErrorMap().get(-errno) ?? ["EUNKNOWN", `error ${errno}`];
  return Object.assign(new Error(`${syscall}${subject && ` ${subject}`}: ${message}`), { errno, code, syscall });
}
