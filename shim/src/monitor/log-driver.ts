import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { ChildError, forkChild } from "../platform/forked-child.ts";
import { startTimer, stopTimer, unwatch, watch } from "../platform/loop.ts";
import type { LogDriver } from "./stream-uri.ts";

/** What a log driver is told of the container. */
export interface LoggedContainer {
  /** An exec's own id, as the runc shim has it. */
  readonly id: string;
  readonly namespace: string;
}

/** The driver's ends are its own by now; these are for the process. */
export interface LogPipes {
  readonly stdout: number;
  readonly stderr: number;
}

export type Pipe = readonly [read: number, write: number];

/** As the runc shim waits for a driver. */
const READY_TIMEOUT_MS = 10_000;

/**
 * Starts a log driver, and waits until it is ready to read. One that ends before that has nothing to log, and is no error,
 * as with the runc shim.
 * @param fifos what it reads from in place of pipes, open for reading and for writing; taken over
 */
export async function startLogDriver(
  { program, args }: LogDriver,
  container: LoggedContainer,
  fifos?: { readonly stdout: Pipe; readonly stderr: Pipe },
): Promise<LogPipes> {
  const [stdoutEnd, stdout] = fifos?.stdout ?? sys.pipe();
  const [stderrEnd, stderr] = fifos?.stderr ?? sys.pipe();
  const [ready, readyEnd] = sys.pipe();
  const driverEnds = [stdoutEnd, stderrEnd, readyEnd];
  try {
    const argv = [program, ...args];
    const env = [`CONTAINER_ID=${container.id}`, `CONTAINER_NAMESPACE=${container.namespace}`];
    await forkChild({}, { kind: "driver", program, argv, env, ends: driverEnds });
    for (const fd of driverEnds.splice(0)) sys.close(fd);
    await closed(ready);
    return { stdout, stderr };
  } catch (error) {
    for (const fd of [...driverEnds, stdout, stderr]) sys.close(fd);
    if (!(error instanceof ChildError)) throw error;
    throw new StatusError(Code.UNKNOWN, `failed to start the log driver ${program}: ${error.message}`);
  } finally {
    sys.close(ready);
  }
}

function closed(fd: number): Promise<void> {
  sys.setNonblocking(fd, 1);
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      unwatch(fd);
      stopTimer(timer);
      settle();
    };
    const late = new StatusError(Code.DEADLINE_EXCEEDED, `the log driver was not ready after ${READY_TIMEOUT_MS} ms`);
    const timer = startTimer(() => finish(() => reject(late)), READY_TIMEOUT_MS);
    // A byte is as good as the end.
    watch(fd, sys.EPOLLIN, () => finish(resolve));
  });
}
