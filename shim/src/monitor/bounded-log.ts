import * as sys from "sys";
import { startTimer, stopTimer, unwatch, watch } from "../platform/loop.ts";

const CHUNK_BYTES = 8192;
/** So much is taken at once, and no more until the pause is over: a process that writes without end waits, not the pod. */
const BURST_BYTES = 64 * 1024;
const PAUSE_MS = 100;

/** One for all: what is read is written at once. */
let chunk: ArrayBuffer | undefined;

/** The output of a process that may say anything, for as long as it likes, in files that do not grow without end. */
export interface BoundedLog {
  /** The process's, to write to. */
  readonly end: number;
  /** There is something that has been written and is not in the file yet. */
  readonly isBehind: boolean;
  /** Takes what there is now, and closes. */
  close(): void;
}

/**
 * What comes is appended to the file; once that has `limitBytes` it becomes `PATH.1`, in place of an earlier one, and a new
 * one is begun. So at least the last `limitBytes` are there, and at most twice as many.
 */
export function openBoundedLog(path: string, limitBytes: number): BoundedLog {
  return new Log(path, limitBytes);
}

class Log implements BoundedLog {
  readonly end: number;
  private readonly from: number;
  private file: number;
  private size: number;
  private timer: number | undefined;
  private closed = false;

  constructor(
    private readonly path: string,
    private readonly limitBytes: number,
  ) {
    this.size = sys.stat(path)?.size ?? 0;
    this.file = this.open();
    [this.from, this.end] = sys.pipe();
    sys.setNonblocking(this.from, 1);
    this.wait();
  }

  private open(): number {
    return sys.open(this.path, sys.O_WRONLY | sys.O_CREAT | sys.O_APPEND | sys.O_NOFOLLOW | sys.O_NOCTTY, 0o600);
  }

  get isBehind(): boolean {
    return !this.closed && sys.unread(this.from) > 0;
  }

  private wait(): void {
    watch(this.from, sys.EPOLLIN, () => this.burst());
  }

  private burst(): void {
    if (this.take() === "ended") {
      this.close();
      return;
    }
    // Also after a few bytes: what is written a character at a time is not read so.
    unwatch(this.from);
    this.timer = startTimer(() => {
      this.timer = undefined;
      this.wait();
    }, PAUSE_MS);
  }

  private take(): "more" | "ended" {
    chunk ??= new ArrayBuffer(CHUNK_BYTES);
    for (let taken = 0; taken < BURST_BYTES; ) {
      const got = sys.read(this.from, chunk, 0, CHUNK_BYTES);
      if (got === 0) return "ended";
      if (got < 0) break;
      taken += got;
      this.keep(chunk, got);
    }
    return "more";
  }

  private keep(bytes: ArrayBuffer, length: number): void {
    try {
      if (this.size >= this.limitBytes) this.turn();
      this.size += length;
      for (let done = 0; done < length; ) done += sys.write(this.file, bytes, done, length - done);
    } catch (error) {
      // A full disk, or a folder that is going: what is said is lost, and whoever says it goes on.
      if (!(error as sys.SysError).code) throw error;
    }
  }

  private turn(): void {
    sys.rename(this.path, `${this.path}.1`);
    sys.close(this.file);
    this.file = -1;
    this.file = this.open();
    this.size = 0;
  }

  close(): void {
    if (this.closed) return;
    this.take();
    this.closed = true;
    if (this.timer !== undefined) stopTimer(this.timer);
    unwatch(this.from);
    sys.close(this.from);
    if (this.file >= 0) sys.close(this.file);
  }
}
