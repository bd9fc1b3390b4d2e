import type { Transport } from "./transport.ts";

/**
 * A transport over a non-blocking file descriptor, for engines with no sockets of their own, such as QuickJS with a
 * native module. What the module must supply is {@link DescriptorIo}.
 */

/** The system calls and the event loop that a descriptor's transport stands on. */
export interface DescriptorIo {
  /** Bytes read, 0 at the end, -1 when nothing is there yet; throws on an error. */
  read(fd: number, buffer: ArrayBuffer, offset: number, length: number): number;
  /** Bytes written, -1 when none can be now; throws on an error. */
  write(fd: number, buffer: ArrayBuffer, offset: number, length: number): number;
  close(fd: number): void;
  /** Calls ready when the descriptor can be read from, or written to, or is broken; replaces an earlier watch. */
  watch(fd: number, interest: { readonly read: boolean; readonly write: boolean }, ready: () => void): void;
  unwatch(fd: number): void;
}

const READ_CHUNK = 16 * 1024;
// Shared by all transports of the process: what is read is copied out before anything else runs.
const scratch = new ArrayBuffer(READ_CHUNK);

/** Takes the descriptor over: it is closed with the transport. */
export function descriptorTransport(fd: number, io: DescriptorIo): Transport {
  return new DescriptorTransport(fd, io);
}

class DescriptorTransport implements Transport {
  onData: (bytes: Uint8Array) => void = () => {};
  onDrain: () => void = () => {};
  onClose: (error?: Error) => void = () => {};

  private readonly queue: Uint8Array[] = [];
  private queued = 0;
  private reading = true;
  private closed = false;

  constructor(
    private readonly fd: number,
    private readonly io: DescriptorIo,
  ) {
    this.rewatch();
  }

  get buffered(): number {
    return this.queued;
  }

  write(bytes: Uint8Array): void {
    if (this.closed || bytes.length === 0) return;
    this.queue.push(bytes);
    this.queued += bytes.length;
    if (this.queue.length === 1) this.flush();
  }

  private flush(): void {
    try {
      for (let head = this.queue[0]; head; head = this.queue[0]) {
        const put = this.io.write(this.fd, head.buffer as ArrayBuffer, head.byteOffset, head.length);
        if (put < 0) break;
        this.queued -= put;
        if (put === head.length) this.queue.shift();
        else this.queue[0] = head.subarray(put);
      }
    } catch (error) {
      this.end(error as Error);
      return;
    }
    this.rewatch();
  }

  private ready(): void {
    if (this.queued > 0) {
      this.flush();
      if (this.queued === 0 && !this.closed) this.onDrain();
    }
    if (this.reading && !this.closed) this.readOnce();
  }

  private readOnce(): void {
    let got: number;
    try {
      got = this.io.read(this.fd, scratch, 0, READ_CHUNK);
    } catch (error) {
      this.end(error as Error);
      return;
    }
    if (got === 0) this.end();
    else if (got > 0) this.onData(new Uint8Array(scratch.slice(0, got)));
  }

  private watched = "";

  private rewatch(): void {
    if (this.closed) return;
    const interest = { read: this.reading, write: this.queued > 0 };
    const state = `${interest.read}${interest.write}`;
    if (state === this.watched) return;
    this.watched = state;
    this.io.watch(this.fd, interest, () => this.ready());
  }

  pause(): void {
    this.reading = false;
    this.rewatch();
  }

  resume(): void {
    this.reading = true;
    this.rewatch();
  }

  close(): void {
    this.end();
  }

  private end(error?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.io.unwatch(this.fd);
    this.io.close(this.fd);
    this.queue.length = 0;
    this.queued = 0;
    this.onClose(error);
  }
}
