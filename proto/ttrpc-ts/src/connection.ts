import type { CancelSignal } from "./cancel.ts";
import { createFrameDecoder, type FrameDecoder, type FrameReceiver } from "./decoder.ts";
import { WRITE_HIGH_WATER_BYTES } from "./frame.ts";
import { Code, errorText, StatusError } from "./status.ts";
import type { Transport } from "./transport.ts";

/** One end of a connection: frames in, frames out, and when to stop reading. */
export interface Connection {
  readonly closed: boolean;
  /** True while more than the high-water mark is waiting for the kernel. */
  readonly congested: boolean;
  /** True when nothing is waiting for the kernel. */
  readonly flushed: boolean;
  /** Takes ownership of the frame; dropped when the connection is closed. */
  write(frame: Uint8Array): void;
  /** Settles when no longer congested; fails when the connection is lost first, or the signal aborts. */
  drained(signal: CancelSignal): Promise<void>;
  /** Stops reading until as many `release` calls have come: no frame is delivered in between. */
  hold(): void;
  release(): void;
  close(error?: Error): void;
}

/** What one end does with its frames. None of the methods may throw. */
export interface ConnectionHandler extends FrameReceiver {
  /** Called once, with the reason if it was not an orderly end. */
  onClosed(error?: Error): void;
  /** Nothing is waiting for the kernel any more. */
  onFlushed(): void;
}

/** Takes the transport over. Only a server may hold its reads on congestion: if both ends did, neither might go on. */
export function createConnection(
  transport: Transport,
  handler: ConnectionHandler,
  options: { maxMessageBytes: number; holdWhenCongested: boolean },
): Connection {
  return new TransportConnection(transport, handler, options);
}

/** What a call gets when its connection is gone; the text is containerd's. */
export function closedError(cause?: Error): StatusError {
  return cause === undefined
    ? new StatusError(Code.UNAVAILABLE, "ttrpc: closed")
    : new StatusError(Code.UNAVAILABLE, `ttrpc: closed: ${errorText(cause)}`, { cause });
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

class TransportConnection implements Connection {
  readonly #transport: Transport;
  readonly #handler: ConnectionHandler;
  readonly #decoder: FrameDecoder;
  readonly #holdWhenCongested: boolean;
  #holds = 0;
  #heldForDrain = false;
  #waiters: Waiter[] = [];
  #closeError: StatusError | undefined;

  constructor(
    transport: Transport,
    handler: ConnectionHandler,
    options: { maxMessageBytes: number; holdWhenCongested: boolean },
  ) {
    this.#transport = transport;
    this.#handler = handler;
    this.#decoder = createFrameDecoder(handler, options.maxMessageBytes);
    this.#holdWhenCongested = options.holdWhenCongested;
    transport.onDrain = () => this.#onDrain();
    transport.onClose = (error) => this.#onClose(error);
    transport.onData = (bytes) => this.#decoder.push(bytes);
  }

  get closed(): boolean {
    return this.#closeError !== undefined;
  }

  get congested(): boolean {
    return this.#transport.buffered > WRITE_HIGH_WATER_BYTES;
  }

  get flushed(): boolean {
    return this.#transport.buffered === 0;
  }

  write(frame: Uint8Array): void {
    if (this.closed) {
      return;
    }
    this.#transport.write(frame);
    if (this.#holdWhenCongested && !this.#heldForDrain && this.congested) {
      this.#heldForDrain = true;
      this.hold();
    }
  }

  async drained(signal: CancelSignal): Promise<void> {
    if (this.#closeError !== undefined) {
      throw this.#closeError;
    }
    if (!this.congested) {
      return;
    }
    let onAbort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        onAbort = () => reject(signal.reason);
        signal.addEventListener("abort", onAbort);
        this.#waiters.push({ resolve, reject });
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  hold(): void {
    if (++this.#holds === 1 && !this.closed) {
      this.#decoder.pause();
      this.#transport.pause();
    }
  }

  release(): void {
    if (--this.#holds > 0 || this.closed) {
      return;
    }
    this.#decoder.resume();
    if (this.#holds === 0 && !this.closed) {
      this.#transport.resume();
    }
  }

  close(error?: Error): void {
    if (this.closed) {
      return;
    }
    this.#onClose(error);
    this.#transport.close();
  }

  #onDrain(): void {
    if (this.closed) {
      return;
    }
    const waiters = this.#waiters;
    if (waiters.length > 0) {
      this.#waiters = [];
      for (const waiter of waiters) {
        waiter.resolve();
      }
    }
    if (this.#heldForDrain) {
      this.#heldForDrain = false;
      this.release();
    }
    if (this.flushed) {
      this.#handler.onFlushed();
    }
  }

  #onClose(error?: Error): void {
    if (this.closed) {
      return;
    }
    this.#closeError = closedError(error);
    this.#decoder.stop();
    for (const waiter of this.#waiters) {
      waiter.reject(this.#closeError);
    }
    this.#waiters = [];
    this.#handler.onClosed(error);
  }
}
