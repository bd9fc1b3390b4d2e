import * as sys from "sys";
import { makeFolders } from "../platform/files.ts";
import { sleep } from "../platform/loop.ts";

/** One stream of a process's output. */
export interface Output {
  /** To write to. */
  readonly fd: number;
  /**
   * The reading end of a FIFO, -1 of anything else: with it open nothing is lost, and nobody gets SIGPIPE, while the client
   * is away.
   */
  readonly kept: number;
}

const S_IFMT = 0o170000;
const S_IFIFO = 0o010000;

export function isFifo(path: string): boolean {
  return ((sys.stat(path)?.mode ?? 0) & S_IFMT) === S_IFIFO;
}

/** How long a client may take to open a FIFO that it has named. One that is gone by then is not waited for. */
const READER_MS = 2_000;
const READER_POLL_MS = 2;

/**
 * Waits for the client to have the FIFO open, as the runc shim does: containerd's clients open it beside their Create, and one
 * that has not come to it by the time the process has ended gives it up, with all that was written (client's task.go,
 * Delete, which cancels the opening). What is no FIFO is a file, which is made where there is none, with its folders.
 */
export async function openOutput(path: string): Promise<Output> {
  if (path === "") return { fd: sys.open("/dev/null", sys.O_WRONLY, 0), kept: -1 };
  if (!isFifo(path)) {
    makeFolders(path.slice(0, path.lastIndexOf("/")), 0o755);
    return { fd: sys.open(path, sys.O_WRONLY | sys.O_CREAT | sys.O_APPEND | sys.O_NOCTTY, 0o644), kept: -1 };
  }
  const fd = await openToReader(path);
  let kept = -1;
  try {
    kept = sys.open(path, sys.O_RDONLY | sys.O_NONBLOCK | sys.O_NOFOLLOW, 0);
    if (fd === undefined) return { fd: sys.open(path, sys.O_WRONLY, 0), kept };
    sys.setNonblocking(fd, 0);
    return { fd, kept };
  } catch (error) {
    closeOutput({ fd: fd ?? -1, kept });
    throw error;
  }
}

/** For writing, once there is somebody who reads; undefined if nobody comes. */
async function openToReader(path: string): Promise<number | undefined> {
  for (const until = sys.monotonicMs() + READER_MS; ; await sleep(READER_POLL_MS)) {
    try {
      return sys.open(path, sys.O_WRONLY | sys.O_NONBLOCK | sys.O_NOFOLLOW, 0);
    } catch (error) {
      if ((error as sys.SysError).code !== "ENXIO") throw error;
    }
    if (sys.monotonicMs() >= until) return undefined;
  }
}

export function closeOutput({ fd, kept }: Output): void {
  for (const end of [fd, kept]) if (end >= 0) sys.close(end);
}
