import * as sys from "sys";
import { startTimer, stopTimer, unwatch, watch } from "../platform/loop.ts";

/**
 * Moves what a process writes to a pipe into its client's FIFO, within the kernel.
 *
 * Only an exec's output goes through one: a process that it leaves behind may hold the pipe for ever, and the client, who
 * waits for the end of the output, shall see it when the exec is deleted.
 */
export interface Relay {
  /** For the process. Closed by whoever started it. */
  readonly input: number;
  /** What is there still goes out; what comes later than a moment from now does not. */
  finish(): void;
}

const CHUNK_BYTES = 1024 * 1024;
/** For what a process left behind writes right after the exit. What was written before it goes out, however long it takes. */
const GRACE_MS = 200;

/** Takes `fifo` over, which is open for writing and non-blocking. */
export function relayTo(fifo: number): Relay {
  return new PipeRelay(fifo);
}

class PipeRelay implements Relay {
  readonly input: number;
  private readonly output: number;
  private timer: number | undefined;
  private closed = false;
  /** Nothing was there when it was last looked at. */
  private idle = true;
  private late = false;

  constructor(private readonly fifo: number) {
    [this.output, this.input] = sys.pipe();
    sys.setNonblocking(this.output, 1);
    this.waitForInput();
  }

  private waitForInput(): void {
    this.idle = true;
    unwatch(this.fifo);
    if (this.late) this.close();
    else watch(this.output, sys.EPOLLIN, () => this.move(() => this.waitForRoom()));
  }

  private waitForRoom(): void {
    this.idle = false;
    unwatch(this.output);
    watch(this.fifo, sys.EPOLLOUT, () => this.move(() => this.waitForInput()));
  }

  /** A side that was ready and then is not has been used up; so it is the other that must be waited for next. */
  private move(next: () => void): void {
    let moved: number;
    do moved = this.splice();
    while (moved > 0);
    if (moved === 0) this.close();
    else next();
  }

  private splice(): number {
    try {
      return sys.splice(this.output, this.fifo, CHUNK_BYTES);
    } catch (error) {
      // Its client has gone after the exec was deleted: there is nobody left to write to.
      if ((error as sys.SysError).code === "EPIPE") return 0;
      throw error;
    }
  }

  finish(): void {
    if (this.closed || this.timer !== undefined) return;
    this.timer = startTimer(() => {
      this.late = true;
      if (this.idle) this.close();
    }, GRACE_MS);
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.timer !== undefined) stopTimer(this.timer);
    for (const fd of [this.output, this.fifo]) {
      unwatch(fd);
      sys.close(fd);
    }
  }
}
