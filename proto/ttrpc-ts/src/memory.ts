import type { Transport } from "./transport.ts";

/** One end of a connection inside the process, which its other end may stop reading from. */
export interface MemoryTransport extends Transport {
  readonly closed: boolean;
}

/**
 * Two connected transports inside one process: for tests, and for serving a caller that happens to live next door.
 * Bytes arrive in a later turn; what a paused end has not read counts as `buffered` at the other.
 */
export function createTransportPair(): [MemoryTransport, MemoryTransport] {
  const left = new MemoryEnd();
  const right = new MemoryEnd();
  left.peer = right;
  right.peer = left;
  return [left, right];
}

class MemoryEnd implements MemoryTransport {
  onData: (bytes: Uint8Array) => void = () => {};
  onDrain: () => void = () => {};
  onClose: (error?: Error) => void = () => {};
  peer: MemoryEnd = this;
  buffered = 0;
  closed = false;
  #queue: Uint8Array[] = [];
  #paused = false;
  #scheduled = false;

  write(bytes: Uint8Array): void {
    if (!this.closed) {
      this.#queue.push(bytes);
      this.buffered += bytes.length;
      this.#schedule();
    }
  }

  close(): void {
    this.#end();
    // as with a socket, what the kernel has not taken is lost, and the other end learns of it in its own turn
    void Promise.resolve().then(() => this.peer.#end());
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.peer.#schedule();
  }

  #schedule(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      void Promise.resolve().then(() => this.#deliver());
    }
  }

  #deliver(): void {
    this.#scheduled = false;
    const { peer } = this;
    const had = this.buffered;
    while (!peer.#paused && !peer.closed && this.#queue.length > 0) {
      const bytes = this.#queue.shift() as Uint8Array;
      this.buffered -= bytes.length;
      peer.onData(bytes);
    }
    if (had > 0 && this.buffered === 0 && !this.closed) {
      this.onDrain();
    }
  }

  #end(): void {
    if (!this.closed) {
      this.closed = true;
      this.#queue = [];
      this.buffered = 0;
      this.onClose();
    }
  }
}
