import * as sys from "sys";
import { makeFolders } from "../platform/files.ts";

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

/** Never waits for a reader. What is no FIFO is a file, which is made where there is none, with its folders. */
export function openOutput(path: string): Output {
  if (path === "") return { fd: sys.open("/dev/null", sys.O_WRONLY, 0), kept: -1 };
  if (!isFifo(path)) {
    makeFolders(path.slice(0, path.lastIndexOf("/")), 0o755);
    return { fd: sys.open(path, sys.O_WRONLY | sys.O_CREAT | sys.O_APPEND | sys.O_NOCTTY, 0o644), kept: -1 };
  }
  const kept = sys.open(path, sys.O_RDONLY | sys.O_NONBLOCK | sys.O_NOFOLLOW, 0);
  try {
    return { fd: sys.open(path, sys.O_WRONLY, 0), kept };
  } catch (error) {
    sys.close(kept);
    throw error;
  }
}

export function closeOutput({ fd, kept }: Output): void {
  for (const end of [fd, kept]) if (end >= 0) sys.close(end);
}
