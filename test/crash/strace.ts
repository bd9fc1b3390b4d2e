import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { findProgram } from "@kuasar/framework/proc/find-program";
import { waitUntil } from "@kuasar/install/wait-until";
import type { CrashPoint } from "./crash-point.ts";
import { changingSyscalls } from "./syscalls.ts";

/** What is done to a process at a point of its life. */
export type Blow =
  /** SIGKILL before the call takes place. */
  | "kill"
  /** SIGSTOP after it, so that something else can be done at that very moment. */
  | "stop";

/** undefined where strace is not installed. */
export function straceProgram(): string | undefined {
  return findProgram("strace");
}

/** strace's arguments: record into `file` what the process does, and strike at the point if there is one. */
export function straceArguments(file: string, strike?: { readonly point: CrashPoint; readonly blow: Blow }): string[] {
  const args = ["--quiet=attach,personality", "--decode-fds=path", "--string-limit=40", "-o", file];
  args.push("-e", `trace=${changingSyscalls.join(",")}`);
  if (strike) {
    const { point, blow } = strike;
    const signal = blow === "kill" ? "SIGKILL" : "SIGSTOP";
    args.push("-e", `inject=${point.syscall}:signal=${signal}:when=${point.occurrence}`);
  }
  return args;
}

/** A process (its main thread) under strace, from now on until it ends or `detach`. */
export interface Attached {
  detach(): Promise<void>;
}

export async function attach(pid: number, args: readonly string[]): Promise<Attached> {
  const strace = spawn(straceProgram() ?? "strace", ["--attach", String(pid), ...args], { stdio: "ignore" });
  await waitUntil(() => tracerOf(pid) === strace.pid, { what: `strace to attach to ${pid}`, timeoutMs: 5_000 });
  return {
    async detach() {
      strace.kill("SIGINT");
      await ended(strace);
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = () => child.exitCode !== null || child.signalCode !== null;
  await waitUntil(gone, { what: "strace to end", timeoutMs: 10_000 });
}

function tracerOf(pid: number): number {
  return Number(/^TracerPid:\t(\d+)$/m.exec(readIfThere(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** Whether a trace says that the blow has fallen. */
export function hasFallen(file: string, blow: Blow): boolean {
  return readIfThere(file).includes(blow === "kill" ? "+++ killed by SIGKILL +++" : "--- stopped by SIGSTOP ---");
}

export function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
