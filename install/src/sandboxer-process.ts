import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { readProcess } from "./process-table.ts";
import { waitUntil } from "./wait-until.ts";

export interface SandboxerOptions {
  readonly program: string;
  readonly socket: string;
  /** Its state folder, `--dir`. */
  readonly directory: string;
  readonly logFile: string;
  readonly args?: readonly string[];
}

/** Names a process for good, unlike its pid. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: number | undefined;
}

/** One sandboxer, run by us instead of systemd. */
export class SandboxerProcess {
  /** @param identity that of a process which an earlier one of ours left running with these options */
  constructor(
    readonly options: SandboxerOptions,
    private identity?: ProcessIdentity,
  ) {}

  /** What is needed to find it again: the constructor's arguments. */
  get record(): [SandboxerOptions, ProcessIdentity?] {
    return this.identity ? [this.options, this.identity] : [this.options];
  }

  get pid(): number | undefined {
    if (!this.identity) return undefined;
    const process = readProcess(this.identity.pid);
    const same = process && process.startTime === this.identity.startTime && process.state !== "Z";
    return same ? this.identity.pid : undefined;
  }

  /** Starts it and waits until it answers at its socket. */
  async start(): Promise<void> {
    const { program, socket, directory, logFile, args } = this.options;
    const log = openSync(logFile, "a", 0o600);
    const child = spawn(program, ["--listen", socket, "--dir", directory, ...(args ?? [])], {
      // What interrupts us at a terminal must not take it away before its pods are.
      detached: true,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.unref();
    await once(child, "spawn");
    if (child.pid === undefined) throw new Error(`${program} was started and has no pid`);
    this.identity = { pid: child.pid, startTime: readProcess(child.pid)?.startTime };
    await waitUntil(() => canConnect(socket), {
      what: `${program} to listen on ${socket}`,
      timeoutMs: 15_000,
      check: () => {
        if (this.pid === undefined)
          throw new Error(`${program} ended; its log:\n${readFileSync(logFile, "utf8").slice(-2000)}`);
      },
    });
  }

  /** Ends it by a signal and waits for its end. Its pods go on. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    process.kill(pid, signal);
    const what = `${this.options.program} (${pid}) to end by ${signal}`;
    // The first thread of a killed process may end before the others, who keep the socket.
    const ended = async () => this.pid === undefined && !(await canConnect(this.options.socket));
    await waitUntil(ended, { what, timeoutMs: 15_000 });
  }
}

function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
