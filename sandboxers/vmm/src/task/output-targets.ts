import { existsSync, rmSync, statSync } from "node:fs";
import { unknown } from "@kuasar/framework/error/sandbox-error";
import type { OutputLog } from "@kuasar/framework/monitor/monitor";
import { asSandboxError } from "@kuasar/framework/monitor/monitor-calls";
import type { TaskIo } from "@kuasar/framework/task/task-record";
import { type OutputTargets, parseOutputUris } from "@kuasar/shim/monitor/stream-uri";

/** Where one stream of a process's output goes on the host. */
export interface OutputTarget {
  readonly path: string;
  /** A client's FIFO, a file, or the FIFO that a log driver of the monitor's reads from. */
  readonly kind: "fifo" | "file" | "driver";
}

/** Where a process's output goes, as its stdio says (cio's "LogURI"); undefined is nowhere. */
export interface ProcessOutputs {
  readonly stdout: OutputTarget | undefined;
  readonly stderr: OutputTarget | undefined;
  /** What the monitor makes ready before there is anything to write; undefined if that is nothing. */
  readonly log: OutputLog | undefined;
}

/**
 * The same answer in each life of this process, while the process of the guest lives.
 * @param progress what the names of the stream's own files begin with
 * @throws INVALID_ARGUMENT for what is neither a path nor a URI that there is
 */
export function processOutputs(io: TaskIo, progress: string): ProcessOutputs {
  const [stdout, stderr] = [io.stdout, io.terminal ? "" : io.stderr];
  const targets = parsed(stdout, stderr);
  if (targets.driver) {
    const log = { stdout, stderr, stdoutFifo: driverFifo(progress, 1), stderrFifo: "" };
    if (!io.terminal) log.stderrFifo = driverFifo(progress, 2);
    return { stdout: driverTarget(log.stdoutFifo), stderr: driverTarget(log.stderrFifo), log };
  }
  const outputs = { stdout: pathTarget(targets.stdout, stdout), stderr: pathTarget(targets.stderr, stderr) };
  const file = (target: OutputTarget | undefined, uri: string) => (target?.kind === "file" ? uri : "");
  const files = { stdout: file(outputs.stdout, stdout), stderr: file(outputs.stderr, stderr) };
  const log = files.stdout || files.stderr ? { ...files, stdoutFifo: "", stderrFifo: "" } : undefined;
  return { ...outputs, log };
}

/** UNKNOWN, as the runc shim's, for a path that is not there: what shall be made has a URI. */
export function requireThere({ stdin, stdout, stderr, terminal }: TaskIo): void {
  const missing = [stdin, stdout, terminal ? "" : stderr].find((path) => path.startsWith("/") && !existsSync(path));
  if (missing !== undefined) throw unknown(`failed to open stdio: stat ${missing}: no such file or directory`);
}

/** Forgets the FIFOs of a driver; the monitor does when it lets go of them. */
export function forgetDriver(progress: string): void {
  for (const fd of [1, 2] as const) rmSync(driverFifo(progress, fd), { force: true });
}

const driverFifo = (progress: string, fd: 1 | 2) => `${progress}.${fd}.log`;

function parsed(stdout: string, stderr: string): OutputTargets {
  try {
    return parseOutputUris(stdout, stderr);
  } catch (error) {
    throw asSandboxError(error);
  }
}

const driverTarget = (path: string): OutputTarget | undefined => (path === "" ? undefined : { path, kind: "driver" });

/** What is named by a path alone was there once, a client's FIFO. */
function pathTarget(path: string, uri: string): OutputTarget | undefined {
  if (path === "") return undefined;
  const isFifo = statSync(path, { throwIfNoEntry: false })?.isFIFO() ?? path === uri;
  return { path, kind: isFifo ? "fifo" : "file" };
}
