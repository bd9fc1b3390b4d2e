import * as sys from "sys";
import { unwatch, watch } from "../platform/loop.ts";

const CHUNK = 8192;

/** Copies bytes from one file descriptor to another, both non-blocking, as fast as the other side takes them. */
export interface Copier {
  /** Stops at once and closes both. */
  close(): void;
  /** Reads what is there now, instead of waiting to be told. */
  poll(): void;
}

/** Owns both file descriptors, and closes them at the end of `from` (for a terminal: when nobody holds the other side). */
export function copy(from: number, to: number, onEnd: () => void): Copier {
  return new FdCopier(from, to, onEnd);
}

class FdCopier implements Copier {
  private readonly buffer = new ArrayBuffer(CHUNK);
  private start = 0;
  private end = 0;
  private ended = false;
  private closed = false;

  constructor(
    private readonly from: number,
    private readonly to: number,
    private readonly onEnd: () => void,
  ) {
    this.waitForInput();
  }

  private waitForInput(): void {
    watch(this.from, sys.EPOLLIN, () => this.poll());
  }

  poll(): void {
    if (this.closed || this.start < this.end) return;
    const got = this.read();
    if (got < 0) return;
    this.ended = got === 0;
    this.start = 0;
    this.end = got;
    this.flush();
  }

  private read(): number {
    try {
      return sys.read(this.from, this.buffer, 0, CHUNK);
    } catch (error) {
      // What a terminal says when its last user has gone.
      if ((error as sys.SysError).code === "EIO") return 0;
      throw error;
    }
  }

  private flush(): void {
    while (this.start < this.end) {
      const put = sys.write(this.to, this.buffer, this.start, this.end - this.start);
      if (put < 0) {
        unwatch(this.from);
        watch(this.to, sys.EPOLLOUT, () => this.flush());
        return;
      }
      this.start += put;
    }
    unwatch(this.to);
    if (this.ended) {
      this.close();
      this.onEnd();
    } else {
      this.waitForInput();
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const fd of [this.from, this.to]) {
      unwatch(fd);
      sys.close(fd);
    }
  }
}
