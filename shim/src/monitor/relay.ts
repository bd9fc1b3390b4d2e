import * as sys from "sys";
import { startTimer, stopTimer, unwatch, watch } from "../platform/loop.ts";

/**
 * A process's pipe, and its client's FIFO, with what comes through the one moved to the other within the kernel.
 *
 * An exec's output goes through one: a process that it leaves behind may hold the pipe for ever, and the client, who waits
 * for the end of the output, shall see it when the exec is deleted. And all stdio of a container does that may be
 * checkpointed.
 */
export interface Relay {
  /** For the process. Closed by whoever started it. */
  readonly end: number;
  /** Whether the process has written what is not in the client's FIFO yet. */
  readonly isBehind: boolean;
  /** The process is gone: of its output, what is there still goes out; what comes later than a moment from now does not. */
  finish(): void;
}

const CHUNK_BYTES = 1024 * 1024;
/** For what a process left behind writes right after the exit. What was written before it goes out, however long it takes. */
const GRACE_MS = 200;

/** Takes `fifo` over, which is open for writing and non-blocking. */
export function relayOutput(fifo: number): Relay {
  const [output, end] = sys.pipe();
  return new PipeRelay(end, output, fifo, GRACE_MS);
}

/** Takes `fifo` over, which is open for reading and non-blocking. Its end is the end of the process's input. */
export function relayInput(fifo: number): Relay {
  const [end, input] = sys.pipe();
  return new PipeRelay(end, fifo, input, 0);
}

class PipeRelay implements Relay {
  private timer: number | undefined;
  private closed = false;
  /** Nothing was there when it was last looked at. */
  private idle = true;
  private late = false;

  constructor(
    readonly end: number,
    private readonly from: number,
    private readonly to: number,
    private readonly graceMs: number,
  ) {
    sys.setNonblocking(from, 1);
    sys.setNonblocking(to, 1);
    this.waitForInput();
  }

  private waitForInput(): void {
    this.idle = true;
    unwatch(this.to);
    if (this.late) this.close();
    else watch(this.from, sys.EPOLLIN, () => this.move(() => this.waitForRoom()));
  }

  private waitForRoom(): void {
    this.idle = false;
    unwatch(this.from);
    watch(this.to, sys.EPOLLOUT, () => this.move(() => this.waitForInput()));
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
      return sys.splice(this.from, this.to, CHUNK_BYTES);
    } catch (error) {
      // Whoever was to read it has gone: there is nobody left to write to.
      if ((error as sys.SysError).code === "EPIPE") return 0;
      throw error;
    }
  }

  get isBehind(): boolean {
    return !this.closed && sys.unread(this.from) > 0;
  }

  finish(): void {
    if (this.closed || this.timer !== undefined) return;
    if (this.graceMs === 0) {
      this.close();
      return;
    }
    this.timer = startTimer(() => {
      this.late = true;
      if (this.idle) this.close();
    }, this.graceMs);
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.timer !== undefined) stopTimer(this.timer);
    for (const fd of [this.from, this.to]) {
      unwatch(fd);
      sys.close(fd);
    }
  }
}
