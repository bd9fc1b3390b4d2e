import { STREAM_QUEUE_BYTES, STREAM_QUEUE_MESSAGES } from "./frame.ts";
import type { StatusError } from "./status.ts";

/** What a full queue holds back: the connection that fills it. */
export interface Gate {
  hold(): void;
  release(): void;
}

/** The messages a stream has received and nobody has taken yet, in order. */
export interface MessageQueue {
  push(message: Uint8Array): void;
  /** No more will come. */
  end(): void;
  /** No more will come because of the error; what is queued is still given out first, unless discarded. */
  fail(error: StatusError, discard?: boolean): void;
  /** The next message, or undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
}

/** A queue that holds its connection's reads while it is full, so that it stays bounded. */
export function createMessageQueue(gate: Gate): MessageQueue {
  return new GatedQueue(gate);
}

interface Waiter {
  resolve(message: Uint8Array | undefined): void;
  reject(error: StatusError): void;
}

class GatedQueue implements MessageQueue {
  readonly #gate: Gate;
  #messages: Uint8Array[] = [];
  #bytes = 0;
  #waiters: Waiter[] = [];
  #ended = false;
  #error: StatusError | undefined;
  #holding = false;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  push(message: Uint8Array): void {
    if (this.#ended) {
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve(message);
      return;
    }
    this.#messages.push(message);
    this.#bytes += message.length;
    if (!this.#holding && this.#full) {
      this.#holding = true;
      this.#gate.hold();
    }
  }

  end(): void {
    this.#finish(undefined);
  }

  fail(error: StatusError, discard = false): void {
    this.#finish(error);
    if (discard) {
      this.#error = error;
      this.#messages = [];
      this.#bytes = 0;
    }
  }

  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      const message = this.#messages.shift();
      if (message !== undefined) {
        resolve(message);
        this.#bytes -= message.length;
        this.#releaseIfRoom();
      } else if (this.#error !== undefined) {
        reject(this.#error);
      } else if (this.#ended) {
        resolve(undefined);
      } else {
        this.#waiters.push({ resolve, reject });
      }
    });
  }

  get #full(): boolean {
    return this.#messages.length >= STREAM_QUEUE_MESSAGES || this.#bytes >= STREAM_QUEUE_BYTES;
  }

  #finish(error: StatusError | undefined): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    this.#error = error;
    for (const waiter of this.#waiters) {
      if (error === undefined) {
        waiter.resolve(undefined);
      } else {
        waiter.reject(error);
      }
    }
    this.#waiters = [];
    this.#releaseIfRoom();
  }

  #releaseIfRoom(): void {
    if (this.#holding && (this.#ended || !this.#full)) {
      this.#holding = false;
      this.#gate.release();
    }
  }
}
