import { cancelled, deadlineExceeded } from "./call.ts";
import { type CancelSignal, type CancelSource, createCancelSource, startTimer, type Timer } from "./cancel.ts";
import type { Request } from "./envelope.ts";
import type { Metadata } from "./metadata.ts";
import type { MessageQueue } from "./queue.ts";
import { asStatusError, type StatusError } from "./status.ts";

/** What a handler knows of the call it serves. */
export interface CallContext {
  readonly service: string;
  readonly method: string;
  readonly metadata: Metadata;
  /** When the client stops waiting, in milliseconds since the epoch. */
  readonly deadline?: number;
  /** Aborted when the deadline passes, the connection is lost or the server closes; its reason is a StatusError. */
  readonly signal: CancelSignal;
}

/** A call that a server is running. */
export interface ServerCall extends CallContext {
  readonly streamId: number;
  /** The length of the request, while it counts against the connection's limit. */
  readonly heldBytes: number;
  /** What the client sends, when the method takes a stream. */
  queue: MessageQueue | undefined;
  /** True once the client has said that it sends no more. */
  remoteClosed: boolean;
  /** True once it is answered, or nobody waits for the answer. */
  readonly ended: boolean;
  /** Marks it ended; gives false if it was already. */
  end(): boolean;
  abort(reason: StatusError): void;
  /** What a handler threw, as the status the client gets. */
  statusOf(thrown: unknown): StatusError;
}

export function createServerCall(streamId: number, request: Request, heldBytes: number): ServerCall {
  return new RunningCall(streamId, request, heldBytes);
}

class RunningCall implements ServerCall {
  readonly streamId: number;
  readonly service: string;
  readonly method: string;
  readonly metadata: Metadata;
  readonly heldBytes: number;
  declare readonly deadline?: number; // declared only: absent, not undefined, when there is none
  queue: MessageQueue | undefined;
  remoteClosed = false;
  ended = false;
  #cancel: CancelSource | undefined;
  #aborted: StatusError | undefined;
  readonly #timer: Timer | undefined;

  constructor(streamId: number, request: Request, heldBytes: number) {
    this.streamId = streamId;
    this.service = request.service;
    this.method = request.method;
    this.metadata = request.metadata;
    this.heldBytes = heldBytes;
    if (request.timeoutNano !== 0) {
      const ms = Math.max(0, request.timeoutNano / 1e6);
      this.deadline = Date.now() + ms;
      this.#timer = startTimer(ms, () => this.abort(deadlineExceeded()));
    }
  }

  // Most handlers never look at it: made when asked for.
  get signal(): CancelSignal {
    if (this.#cancel === undefined) {
      this.#cancel = createCancelSource();
      if (this.#aborted !== undefined) {
        this.#cancel.abort(this.#aborted);
      }
    }
    return this.#cancel.signal;
  }

  end(): boolean {
    if (this.ended) {
      return false;
    }
    this.ended = true;
    this.#timer?.cancel();
    this.queue?.fail(cancelled(), true);
    return true;
  }

  abort(reason: StatusError): void {
    if (this.#aborted === undefined) {
      this.#aborted = reason;
      this.queue?.fail(reason, true);
      this.#cancel?.abort(reason);
    }
  }

  statusOf(thrown: unknown): StatusError {
    // Node's own functions throw an AbortError for an aborted signal, whatever the reason was.
    if (this.#aborted !== undefined && thrown instanceof Error && thrown.name === "AbortError") {
      return this.#aborted;
    }
    return asStatusError(thrown);
  }
}
