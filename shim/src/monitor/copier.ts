import * as sys from "sys";
import { unwatch, watch } from "../platform/loop.ts";

const CHUNK = 8192;
/** Chunks at a time: the rest of the pod has its turn after so many. */
const ROUNDS = 16;

/** Copies bytes from one file descriptor to another, both non-blocking, as fast as the other side takes them. */
export interface Copier {
  /** There is nothing more to copy. */
  readonly closed: boolean;
  /** Stops at once and closes both. */
  close(): void;
}

/** Owns both file descriptors, and closes them at the end of `from` (for a terminal: when nobody holds the other side). */
export function copy(from: number, to: number, onEnd: () => void): Copier {
  return new FdCopier(from, to, onEnd);
}

class FdCopier implements Copier {
  private readonly buffer = new ArrayBuffer(CHUNK);
  private start = 0;
  private end = 0;
  closed = false;

  constructor(
    private readonly from: number,
    private readonly to: number,
    private readonly onEnd: () => void,
  ) {
    this.waitForInput();
  }

  private waitForInput(): void {
    watch(this.from, sys.EPOLLIN, () => this.copy());
  }

  private copy(): void {
    for (let round = 0; round < ROUNDS; round++) {
      const got = this.read();
      if (got < 0) return;
      if (got === 0) {
        this.close();
        this.onEnd();
        return;
      }
      this.start = 0;
      this.end = got;
      if (!this.flush()) {
        unwatch(this.from);
        watch(this.to, sys.EPOLLOUT, () => this.resume());
        return;
      }
    }
  }

  private resume(): void {
    if (!this.flush()) return;
    unwatch(this.to);
    this.waitForInput();
  }

  private read(): number {
    try {
      return sys.read(this.from, this.buffer, 0, CHUNK);
    } catch (error) {
      // What a terminal says when its last user has gone, and a connection when its other end has.
      if (["EIO", "ECONNRESET"].includes((error as sys.SysError).code)) return 0;
      throw error;
    }
  }

  /** Whether all has been written that was read. */
  private flush(): boolean {
    while (this.start < this.end) {
      const put = this.write();
      if (put < 0) return false;
      this.start += put;
    }
    return true;
  }

  private write(): number {
    try {
      return sys.write(this.to, this.buffer, this.start, this.end - this.start);
    } catch (error) {
      // A log driver that has ended: what is shown is shown to nobody, and the process on the terminal goes on.
      if (["EPIPE", "ECONNRESET"].includes((error as sys.SysError).code)) return this.end - this.start;
      throw error;
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
