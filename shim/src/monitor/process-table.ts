import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { CANNOT_START } from "../platform/child-terms.ts";
import { readText } from "../platform/files.ts";
import type { HeldChild } from "../platform/forked-child.ts";
import { sleep, unwatch, watch } from "../platform/loop.ts";
import { createRunningCommands, type RunningCommands } from "./running-commands.ts";
import type { ProcessStdio } from "./stdio.ts";

const SIGCHLD = 17;
/** Where nobody can know how a process ended. */
const UNKNOWN_STATUS = 255;
/** How long a client may take to read what is there when a process ends, before it is told of the end. */
const READING_MS = 250;
const READING_POLL_MS = 2;

/** How a process ended: its exit status, or 128 + the signal's number. */
export interface Exit {
  readonly status: number;
  /** Since 1970, as google.protobuf.Timestamp has it. */
  readonly seconds: number;
  readonly nanos: number;
}

/** A process that the monitor answers for, from its start until somebody releases it. */
export interface Process {
  readonly key: string;
  readonly pid: number;
  readonly stdio: ProcessStdio | undefined;
  exit: Exit | undefined;
  /**
   * It has exited, which nobody is told yet: what it wrote is still being read, or it could not be made ready to become its
   * program, which whoever lets it proceed is told first.
   */
  untold?: "unread" | "unexplained";
  /** Set while it waits to become its program. */
  held?: HeldChild;
  /** Set where the process is not our child: its end is told by a pidfd. */
  pidfd?: number;
}

/** Every process of the pod, by key and by pid; reaps all that end, also those that this process adopted unasked. */
export interface ProcessTable {
  /** containerd's, that all of the pod's containers are in; "" where it is not known. */
  readonly namespace: string;
  add(key: string, pid: number, stdio?: ProcessStdio): Process;
  adopt(key: string, pid: number, startTime: number): Process;
  get(key: string): Process;
  find(key: string): Process | undefined;
  list(): Iterable<Process>;
  /** Whether the pid is that of a process here, or of a command that runs. */
  isKnown(pid: number): boolean;
  /** NOT_FOUND once the process has exited. */
  signal(key: string, signal: number): void;
  wait(key: string): Promise<Process>;
  /** Why the process could not become its program has been told, or is not wanted: its end is no secret any more. */
  explained(process: Process): void;
  release(key: string): void;
  /** A command's own end; the pid must have been started by us just now. */
  waitCommand(pid: number): Promise<number>;
  /**
   * Runs `work`, which starts a process and adds it under the key; with "" it adds none. ALREADY_EXISTS where the key is
   * taken, also by a start that is under way. Meanwhile the exit status of every unknown process is kept: one that
   * `runc exec --detach` leaves behind may have ended before anyone has read its pid.
   */
  starting<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Deals with all children that have ended; the loop does so by itself. */
  reap(): void;
  readonly running: RunningCommands;
  /** Called with each process that exits. */
  onExit: (process: Process) => void;
}

export function createProcessTable(namespace = ""): ProcessTable {
  return new Table(namespace);
}

class Table implements ProcessTable {
  private readonly byKey = new Map<string, Process>();
  private readonly byPid = new Map<number, Process>();
  private readonly commands = new Map<number, (status: number) => void>();
  private readonly orphans = new Map<number, Exit>();
  private readonly waiters = new Map<string, Array<(process: Process) => void>>();
  private readonly startingKeys = new Set<string>();
  private startsUnderWay = 0;
  readonly running = createRunningCommands();

  onExit: (process: Process) => void = () => {};

  constructor(readonly namespace: string) {
    const signals = sys.signalFd([SIGCHLD]);
    watch(signals, sys.EPOLLIN, () => {
      while (sys.readSignal(signals) !== 0);
      this.reap();
    });
  }

  add(key: string, pid: number, stdio?: ProcessStdio): Process {
    const process: Process = { key, pid, stdio, exit: undefined };
    this.insert(process);
    const exit = this.orphans.get(pid);
    if (exit) {
      this.orphans.delete(pid);
      this.exited(process, exit);
    } else if (sys.stat(`/proc/${pid}`)) {
      this.byPid.set(pid, process);
    } else {
      // Its own parent was there to see it end, and nobody can tell how any more.
      this.exited(process, exitNow(UNKNOWN_STATUS));
    }
    return process;
  }

  adopt(key: string, pid: number, startTime: number): Process {
    if (this.byKey.has(key) || this.startingKeys.has(key)) throw keyExists(key);
    const pidfd = sys.pidfdOpen(pid);
    if (startTimeOf(pid) !== startTime) {
      sys.close(pidfd);
      throw new StatusError(
        Code.NOT_FOUND,
        `process ${pid} of ${key} is another one than that started at ${startTime}`,
      );
    }
    const process: Process = { key, pid, stdio: undefined, exit: undefined, pidfd };
    this.insert(process);
    watch(pidfd, sys.EPOLLIN, () => {
      const status = sys.pidfdExitStatus(pidfd);
      unwatch(pidfd);
      sys.close(pidfd);
      delete process.pidfd;
      this.exited(process, exitNow(status < 0 ? UNKNOWN_STATUS : status));
    });
    return process;
  }

  private insert(process: Process): void {
    if (this.byKey.has(process.key)) throw keyExists(process.key);
    this.byKey.set(process.key, process);
  }

  find(key: string): Process | undefined {
    return this.byKey.get(key);
  }

  get(key: string): Process {
    const process = this.byKey.get(key);
    if (!process) throw new StatusError(Code.NOT_FOUND, `no process with the key ${key}`);
    return process;
  }

  isKnown(pid: number): boolean {
    return this.byPid.has(pid) || this.commands.has(pid);
  }

  list(): Iterable<Process> {
    return this.byKey.values();
  }

  signal(key: string, signal: number): void {
    const process = this.get(key);
    if (process.exit) {
      this.explained(process);
      throw new StatusError(Code.NOT_FOUND, "process already finished");
    }
    // Until we have reaped a child, its pid is its own; a pidfd says so of others.
    if (process.pidfd !== undefined) sys.pidfdSignal(process.pidfd, signal);
    else sys.kill(process.pid, signal);
  }

  wait(key: string): Promise<Process> {
    const process = this.get(key);
    if (process.exit && !process.untold) return Promise.resolve(process);
    return new Promise((resolve) => {
      const waiting = this.waiters.get(key);
      if (waiting) waiting.push(resolve);
      else this.waiters.set(key, [resolve]);
    });
  }

  release(key: string): void {
    const process = this.byKey.get(key);
    if (!process) return;
    if (!process.exit) {
      throw new StatusError(Code.FAILED_PRECONDITION, `process ${process.pid} (${key}) has not exited`);
    }
    this.explained(process);
    process.stdio?.close();
    this.byKey.delete(key);
  }

  waitCommand(pid: number): Promise<number> {
    return new Promise((resolve) => this.commands.set(pid, resolve));
  }

  async starting<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.byKey.has(key) || this.startingKeys.has(key)) throw keyExists(key);
    if (key !== "") this.startingKeys.add(key);
    this.startsUnderWay++;
    try {
      return await work();
    } finally {
      this.startingKeys.delete(key);
      if (--this.startsUnderWay === 0) this.orphans.clear();
    }
  }

  reap(): void {
    for (let child = sys.waitChild(); child; child = sys.waitChild()) {
      const [pid, status] = child;
      const command = this.commands.get(pid);
      const process = this.byPid.get(pid);
      if (command) {
        this.commands.delete(pid);
        command(status);
      } else if (process) {
        this.byPid.delete(pid);
        this.exited(process, exitNow(status));
      } else if (this.startsUnderWay > 0) {
        this.orphans.set(pid, exitNow(status));
      }
    }
  }

  private exited(process: Process, exit: Exit): void {
    process.exit = exit;
    if (process.held && exit.status === CANNOT_START) process.untold = "unexplained";
    else if (process.stdio?.isUnread) void this.tellOnceRead(process, process.stdio);
    else this.tell(process);
  }

  /**
   * ctr's answer to an exit is to close its end of the FIFOs, whatever is still in them (containerd's cio/io_unix.go,
   * copyIO, `cancel`). A client that does not read is not waited for.
   */
  private async tellOnceRead(process: Process, stdio: ProcessStdio): Promise<void> {
    process.untold = "unread";
    for (const until = sys.monotonicMs() + READING_MS; stdio.isUnread && sys.monotonicMs() < until; ) {
      await sleep(READING_POLL_MS);
    }
    delete process.untold;
    this.tell(process);
  }

  explained(process: Process): void {
    if (process.untold !== "unexplained") return;
    delete process.untold;
    this.tell(process);
  }

  private tell(process: Process): void {
    const waiting = this.waiters.get(process.key) ?? [];
    this.waiters.delete(process.key);
    for (const resolve of waiting) resolve(process);
    this.onExit(process);
  }
}

/** Whom a key names: a container's init process, by the container's id, or (id/exec-id) one that was exec'd into it, by its own. */
export function ownerOfKey(key: string): { id: string; exec: boolean } {
  const slash = key.indexOf("/");
  return slash < 0 ? { id: key, exec: false } : { id: key.slice(slash + 1), exec: true };
}

function keyExists(key: string): StatusError {
  return new StatusError(Code.ALREADY_EXISTS, `a process with the key ${key} exists`);
}

function exitNow(status: number): Exit {
  const [seconds, nanos] = sys.realtime();
  return { status, seconds, nanos };
}

/** Field 22 of /proc/PID/stat, in clock ticks since the boot: with the pid it names one process for ever. NaN once it is gone. */
export function startTimeOf(pid: number): number {
  let text = "";
  try {
    text = readText(`/proc/${pid}/stat`);
  } catch {
    // Whatever the kernel calls it, there is no such process any more.
  }
  // The command's name may hold spaces and brackets; the fields start after the last one.
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[19]);
}
