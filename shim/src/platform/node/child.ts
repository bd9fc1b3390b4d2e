import { readdirSync } from "node:fs";
import { childProgram, DATA_ADDRESS } from "./child-program.ts";
import { ChildSocket } from "./child-socket.ts";
import {
  type Argument,
  actingFor,
  attempt,
  bytesOf,
  call,
  type Kernel,
  Out,
  type SystemCall,
  sysError,
} from "./kernel.ts";
import { spawn } from "./libc.ts";
import { openFilesLimit } from "./open-files-limit.ts";

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const MFD_CLOEXEC = 1;
const MFD_EXEC = 0x10;
const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const CLOSE_RANGE_CLOEXEC = 4;
const CLONE_PARENT = 0x8000;
const CLONE_INTO_CGROUP = 1n << 33n;
const SIGCHLD = 17n;
const RLIMIT_NOFILE = 7;
const AT_EMPTY_PATH = 0x1000;
const SECCOMP_SET_MODE_FILTER = 1;
const LAST_FD = 0xffffffff;

/** A child that has every file descriptor of ours, and makes system calls for us until it executes a program. */
export interface Child extends Kernel {
  /** As we see it; another after a {@link fork}. */
  readonly pid: number;
  /** Whether it has become its program. */
  readonly executed: boolean;
  /** The child leaves its place to one of its own: with clone() flags, in the cgroup v2 folder of a fd (-1: none). */
  fork(flags: number, cgroup: number): void;
  /** Closes every file descriptor from 3 on, but these and the socket to us. */
  keepOnly(fds: readonly number[]): void;
  setSeccomp(filter: Uint8Array): void;
  /** Throws in any case: what was to be done by the child is over. */
  execute(program: string | number, argv: readonly string[], env: readonly string[]): never;
  /** A child that has executed nothing ends. */
  close(): void;
}

export function startChild(): Child {
  const ends = new Int32Array(2);
  call("socketpair", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, new Out(new Uint8Array(ends.buffer)));
  const [ours, its] = [ends[0] as number, ends[1] as number];
  const socket = new ChildSocket(ours, its);
  const program = memoryFile("kuasar-child", childProgram(its));
  try {
    const fds = openFds().filter((fd) => fd !== ours);
    const pid = spawn(`/proc/self/fd/${program}`, ["kuasar-child"], fds);
    if (pid < 0) throw sysError(-pid, "posix_spawn", "of a program in memory");
    const child = new RemoteChild(pid, socket);
    child.prepare(fds);
    return child;
  } catch (error) {
    socket.close();
    throw error;
  } finally {
    call("close", its);
    call("close", program);
  }
}

/** Takes the steps to its program in a child's place, and answers with its pid. Throws what the step threw that failed. */
export function becomeProgram(child: Child, become: () => never): number {
  try {
    return actingFor(child, become);
  } catch (error) {
    if (child.executed) return child.pid;
    throw error;
  } finally {
    child.close();
  }
}

function memoryFile(name: string, bytes: Uint8Array): number {
  const executable = attempt("memfd_create", name, MFD_CLOEXEC | MFD_EXEC);
  // Before Linux 6.3 there is no such flag, and every file can be executed.
  const fd = executable >= 0 ? executable : call("memfd_create", name, MFD_CLOEXEC);
  call("write", fd, bytes, bytes.length);
  return fd;
}

function openFds(): number[] {
  const named = readdirSync("/proc/self/fd").map(Number);
  // One of them was the folder's own.
  return named.filter((fd) => attempt("fcntl", fd, F_GETFD, 0) >= 0);
}

class RemoteChild implements Child {
  executed = false;

  constructor(
    public pid: number,
    private readonly socket: ChildSocket,
  ) {}

  /** Makes it what a fork would have made. */
  prepare(fds: readonly number[]): void {
    // close_range has this flag since Linux 5.11.
    if (this.call("close_range", [3, LAST_FD, CLOSE_RANGE_CLOEXEC]) < 0) {
      for (const fd of fds.filter((fd) => fd > 2)) this.call("fcntl", [fd, F_SETFD, FD_CLOEXEC]);
    }
    const limit = openFilesLimit();
    if (limit) this.call("prlimit64", [0, RLIMIT_NOFILE, limit, 0]);
  }

  call(name: SystemCall, args: readonly Argument[]): number {
    const image: Uint8Array[] = [];
    const outs: Array<{ readonly address: number; readonly bytes: Uint8Array }> = [];
    let end = DATA_ADDRESS;
    const words = args.map((argument) => {
      if (typeof argument === "number" || typeof argument === "bigint") return argument;
      const bytes = bytesOf(argument);
      const address = end;
      // The kernel wants some structures at multiples of eight.
      const padding = -bytes.length & 7;
      image.push(bytes, new Uint8Array(padding));
      end += bytes.length + padding;
      if (argument instanceof Out) outs.push({ address, bytes });
      return address;
    });
    this.socket.load(Buffer.concat(image));
    this.socket.send(name, words);
    const result = this.socket.answer(name);
    if (result >= 0) for (const { address, bytes } of outs) this.socket.fetch(address, bytes);
    return result;
  }

  exit(status: number): never {
    this.socket.send("exit_group", [status]);
    throw new Error(`the child exits with ${status}`);
  }

  fork(flags: number, cgroup: number): void {
    // struct clone_args: flags at 0, exit_signal at 4, cgroup at 10.
    const values = new BigUint64Array(11);
    // With the same parent a child has the signal of its maker.
    if (!(flags & CLONE_PARENT)) values[4] = SIGCHLD;
    if (cgroup >= 0) values[10] = BigInt(cgroup);
    values[0] = BigInt(flags) | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0n);
    const bytes = new Uint8Array(values.buffer);
    this.socket.load(bytes);
    this.socket.send("clone3", [DATA_ADDRESS, bytes.length]);
    const first = this.socket.answer("clone3");
    if (first < 0) throw sysError(-first, "clone3");
    // Both answer: the new one with 0, the old one, which ends then, with the new one's pid.
    this.pid = Math.max(first, this.socket.answer("clone3"));
  }

  keepOnly(fds: readonly number[]): void {
    let next = 3;
    for (const fd of [...fds, this.socket.its].filter((fd) => fd >= 3).sort((a, b) => a - b)) {
      if (next < fd) call("close_range", next, fd - 1, 0);
      next = fd + 1;
    }
    call("close_range", next, LAST_FD, 0);
  }

  setSeccomp(filter: Uint8Array): void {
    // struct sock_fprog: how many instructions, and where they are.
    const header = new BigUint64Array([BigInt(filter.length / 8), BigInt(DATA_ADDRESS + 16)]);
    const program = Buffer.concat([new Uint8Array(header.buffer), filter]);
    call("seccomp", SECCOMP_SET_MODE_FILTER, 0, new Uint8Array(program));
  }

  execute(program: string | number, argv: readonly string[], env: readonly string[]): never {
    const pointers = new BigUint64Array(argv.length + env.length + 2);
    const strings: Uint8Array[] = [];
    let end = DATA_ADDRESS + pointers.byteLength;
    const place = (text: string) => {
      const bytes = bytesOf(text);
      const address = end;
      strings.push(bytes);
      end += bytes.length;
      return address;
    };
    pointers.set(argv.map((text) => BigInt(place(text))));
    pointers.set(
      env.map((text) => BigInt(place(text))),
      argv.length + 1,
    );
    const path = place(typeof program === "string" ? program : "");
    const environment = DATA_ADDRESS + 8 * (argv.length + 1);
    this.socket.load(Buffer.concat([new Uint8Array(pointers.buffer), ...strings]));
    if (typeof program === "string") this.socket.send("execve", [path, DATA_ADDRESS, environment]);
    else this.socket.send("execveat", [program, path, DATA_ADDRESS, environment, AT_EMPTY_PATH]);
    // The socket closes at the exec, without a word.
    const failed = this.socket.receive();
    if (failed !== undefined) throw sysError(-failed, "exec", argv[0]);
    this.executed = true;
    throw new Error("the child has become its program");
  }

  close(): void {
    this.socket.close();
  }
}
