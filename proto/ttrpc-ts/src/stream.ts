import { cancelled, type PendingCall } from "./call.ts";
import { type CancelSource, createCancelSource } from "./cancel.ts";
import type { Connection } from "./connection.ts";
import { assertLength } from "./envelope.ts";
import { encodeData, Flag } from "./frame.ts";
import { createMessageQueue, type MessageQueue } from "./queue.ts";
import { Code, StatusError } from "./status.ts";

/**
 * The client's side of a streaming call, in encoded messages. Everything fails with a StatusError.
 * https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md#streaming
 */
export interface ClientStream extends AsyncIterable<Uint8Array> {
  /** Sends a message; settles when there is room for the next one. */
  send(message: Uint8Array): Promise<void>;
  /** No more will be sent. */
  closeSend(): void;
  /** The next message, or undefined when the server has ended the stream with success. */
  receive(): Promise<Uint8Array | undefined>;
  /** Gives the call up on this side, as leaving a `for await` loop does; ttrpc has no message to tell the server. */
  cancel(): void;
}

/** What a stream needs of its client. */
export interface StreamHost {
  readonly connection: Connection;
  readonly maxMessageBytes: number;
  /** Forgets the stream; its call is told by `onAbandoned`. */
  abandon(streamId: number, error: StatusError): void;
}

/** A stream before its request is sent; its client gives it the id then. */
export interface OpeningStream extends ClientStream, PendingCall {
  streamId: number;
}

export function createClientStream(host: StreamHost, sends: boolean): OpeningStream {
  return new QueuedStream(host, sends);
}

class QueuedStream implements OpeningStream {
  streamId = 0;
  readonly #host: StreamHost;
  readonly #queue: MessageQueue;
  readonly #over: CancelSource = createCancelSource();
  #sendClosed: boolean;

  constructor(host: StreamHost, sends: boolean) {
    this.#host = host;
    this.#queue = createMessageQueue(host.connection);
    this.#sendClosed = !sends;
  }

  async send(message: Uint8Array): Promise<void> {
    const { connection, maxMessageBytes } = this.#host;
    const over = this.#over.signal;
    if (over.aborted) {
      throw over.reason;
    }
    if (this.#sendClosed) {
      throw streamClosed();
    }
    assertLength(message.length, maxMessageBytes);
    connection.write(encodeData(this.streamId, 0, message));
    if (connection.congested) {
      await connection.drained(over);
    }
  }

  closeSend(): void {
    if (!this.#sendClosed && !this.#over.signal.aborted) {
      this.#sendClosed = true;
      this.#host.connection.write(encodeData(this.streamId, Flag.REMOTE_CLOSED | Flag.NO_DATA));
    }
  }

  receive(): Promise<Uint8Array | undefined> {
    return this.#queue.next();
  }

  cancel(): void {
    if (!this.#over.signal.aborted) {
      this.#host.abandon(this.streamId, cancelled());
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        const value = await this.receive();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: async () => {
        this.cancel();
        return { done: true, value: undefined };
      },
    };
  }

  // As with containerd's client, the payload of the response is the stream's last message.
  onResponse(payload: Uint8Array): void {
    this.#queue.push(payload);
    this.#end();
  }

  onData(flags: number, message: Uint8Array): boolean {
    const last = (flags & Flag.REMOTE_CLOSED) !== 0;
    if ((flags & Flag.NO_DATA) === 0) {
      this.#queue.push(message);
    }
    if (last) {
      this.#end();
    }
    return last;
  }

  onFailure(error: StatusError): void {
    this.#over.abort(error);
    this.#queue.fail(error);
  }

  onAbandoned(error: StatusError): void {
    this.#over.abort(error);
    this.#queue.fail(error, true);
  }

  #end(): void {
    this.#over.abort(streamClosed());
    this.#queue.end();
  }
}

/** What sending on a stream that has ended gives; the text is containerd's. */
export function streamClosed(): StatusError {
  return new StatusError(Code.FAILED_PRECONDITION, "ttrpc: stream closed");
}
