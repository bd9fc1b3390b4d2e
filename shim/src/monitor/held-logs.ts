import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { removeIfThere } from "../platform/files.ts";
import { type LoggedContainer, type Pipe, startLogDriver } from "./log-driver.ts";
import { closeOutput, isFifo, openOutput } from "./output.ts";
import { type LogDriver, parseOutputUris } from "./stream-uri.ts";

/** kuasar.monitor.v1.OpenLogRequest, without its key. */
export interface LogSpec {
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutFifo: string;
  readonly stderrFifo: string;
}

/** Files and log drivers for the output of processes that are not this one's, and that somebody else brings here. */
export interface HeldLogs {
  /** ALREADY_EXISTS for a key that has some. */
  open(key: string, spec: LogSpec, container: LoggedContainer): Promise<void>;
  /** The driver reads to the end of what there is. Harmless for a key that has none. */
  release(key: string): void;
}

interface Held {
  /** Writing ends of a driver's FIFOs: it sees no end while whoever writes is being restarted. */
  readonly fds: number[];
  readonly paths: string[];
}

export function createHeldLogs(): HeldLogs {
  const logs = new Map<string, Held>();
  const release = (key: string) => {
    const held = logs.get(key);
    logs.delete(key);
    if (held) letGo(held);
  };
  return {
    release,
    async open(key, { stdout, stderr, stdoutFifo, stderrFifo }, container) {
      if (logs.has(key)) throw new StatusError(Code.ALREADY_EXISTS, `${key} has its log already`);
      const targets = parseOutputUris(stdout, stderr);
      const held: Held = { fds: [], paths: [] };
      logs.set(key, held);
      try {
        if (targets.driver) await startDriver(targets.driver, { stdoutFifo, stderrFifo }, container, held);
        else for (const path of [targets.stdout, targets.stderr]) closeOutput(await openOutput(path));
      } catch (error) {
        if (logs.get(key) === held) release(key);
        throw error;
      }
      // Released meanwhile: nobody will ask for it again.
      if (logs.get(key) !== held) letGo(held);
    },
  };
}

async function startDriver(
  driver: LogDriver,
  { stdoutFifo, stderrFifo }: Pick<LogSpec, "stdoutFifo" | "stderrFifo">,
  container: LoggedContainer,
  held: Held,
): Promise<void> {
  const { stdout, stderr } = await startLogDriver(driver, container, makePipes(stdoutFifo, stderrFifo, held));
  held.fds.push(stdout);
  // A terminal has one stream.
  if (stderrFifo === "") sys.close(stderr);
  else held.fds.push(stderr);
}

function makePipes(stdoutFifo: string, stderrFifo: string, held: Held): { stdout: Pipe; stderr: Pipe } {
  const stdout = makePipe(stdoutFifo, held);
  try {
    return { stdout, stderr: makePipe(stderrFifo, held) };
  } catch (error) {
    for (const fd of stdout) sys.close(fd);
    throw error;
  }
}

/** A FIFO, or a pipe that nobody else can write to where there is to be none. */
function makePipe(path: string, held: Held): Pipe {
  if (path === "") return sys.pipe();
  if (!path.startsWith("/")) {
    throw new StatusError(Code.INVALID_ARGUMENT, `a log driver's FIFO: expected an absolute path, got ${path}`);
  }
  // Of an attempt that was broken off.
  if (isFifo(path)) removeIfThere(path);
  sys.makeFifo(path, 0o600);
  held.paths.push(path);
  const read = sys.open(path, sys.O_RDONLY | sys.O_NONBLOCK | sys.O_NOFOLLOW, 0);
  try {
    const write = sys.open(path, sys.O_WRONLY | sys.O_NOFOLLOW, 0);
    // As a pipe's, which a driver waits at.
    sys.setNonblocking(read, 0);
    return [read, write];
  } catch (error) {
    sys.close(read);
    throw error;
  }
}

function letGo({ fds, paths }: Held): void {
  for (const fd of fds.splice(0)) sys.close(fd);
  for (const path of paths.splice(0)) removeIfThere(path);
}
