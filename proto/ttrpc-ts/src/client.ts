import {
  type CallGuard,
  type CallOptions,
  createUnaryCall,
  guardCall,
  type PendingCall,
  refusal,
  timeoutNano,
} from "./call.ts";
import { type Connection, type ConnectionHandler, closedError, createConnection } from "./connection.ts";
import { decodeResponse, encodeRequest, oversized, type Response } from "./envelope.ts";
import { Flag, MessageType, STREAM_ID_MAX } from "./frame.ts";
import { messageLimit } from "./limit.ts";
import { NO_METADATA } from "./metadata.ts";
import { asStatusError, Code, errorText, StatusError } from "./status.ts";
import { type ClientStream, createClientStream, type StreamHost } from "./stream.ts";
import type { Transport } from "./transport.ts";

/** The calling side of one connection. Payloads are encoded messages: see `createStub` for typed calls. */
export interface Client {
  /** One request, one response. Fails with a StatusError, and with nothing else. */
  call(service: string, method: string, payload: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  /** A streaming call. With a payload it is sent as the only message of this side, which is then closed. */
  stream(service: string, method: string, options?: StreamOptions): ClientStream;
  /** Ends the connection; running calls fail with UNAVAILABLE, and with the cause's words if there is one. */
  close(cause?: Error): void;
  readonly closed: boolean;
  /** Called once when the connection has ended, whichever side ended it, with the error if there was one. */
  onClose: (error?: Error) => void;
}

export interface StreamOptions extends CallOptions {
  payload?: Uint8Array | undefined;
}

export interface ClientOptions {
  /** The longest message, sent or received, its header not counted. Default, and what other peers take: 4 MiB. */
  maxMessageBytes?: number | undefined;
}

/** A client on a connected transport, which is the client's from then on. */
export function createClient(transport: Transport, options: ClientOptions = {}): Client {
  return new ConnectionClient(transport, messageLimit(options.maxMessageBytes));
}

interface OpenCall {
  readonly call: PendingCall;
  readonly guard: CallGuard | undefined;
}

const NO_OPTIONS: CallOptions = Object.freeze({});
const NO_BYTES: Uint8Array = new Uint8Array(0);

class ConnectionClient implements Client, ConnectionHandler, StreamHost {
  onClose: (error?: Error) => void = () => {};
  readonly connection: Connection;
  readonly maxMessageBytes: number;
  readonly #open = new Map<number, OpenCall>();
  #nextStreamId = 1;
  #closeError: StatusError | undefined;

  constructor(transport: Transport, maxMessageBytes: number) {
    this.maxMessageBytes = maxMessageBytes;
    this.connection = createConnection(transport, this, { maxMessageBytes, holdWhenCongested: false });
  }

  get closed(): boolean {
    return this.#closeError !== undefined;
  }

  call(service: string, method: string, payload: Uint8Array, options = NO_OPTIONS): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#begin(createUnaryCall(resolve, reject), 0, service, method, payload, options);
    });
  }

  stream(service: string, method: string, options: StreamOptions = NO_OPTIONS): ClientStream {
    const { payload } = options;
    const stream = createClientStream(this, payload === undefined);
    const flags = payload === undefined ? Flag.REMOTE_OPEN : Flag.REMOTE_CLOSED;
    stream.streamId = this.#begin(stream, flags, service, method, payload ?? NO_BYTES, options);
    return stream;
  }

  close(cause?: Error): void {
    this.connection.close(cause);
  }

  abandon(streamId: number, error: StatusError): void {
    this.#end(streamId)?.onAbandoned(error);
  }

  onFrame(type: number, flags: number, streamId: number, message: Uint8Array): void {
    const open = this.#open.get(streamId);
    if (open === undefined) {
      // The answer to a call that was given up is expected; one to a call that never was is not.
      if (streamId % 2 === 0 || streamId >= this.#nextStreamId) {
        this.onNonsense(`message on stream ${streamId}, which was never opened`);
      }
    } else if (type === MessageType.RESPONSE) {
      this.#end(streamId);
      this.#respond(open.call, message);
    } else if (type === MessageType.DATA) {
      if (open.call.onData(flags, message)) {
        this.#end(streamId);
      }
    } else {
      const error = new StatusError(Code.INTERNAL, `unexpected message of type ${type} received: protocol error`);
      this.#end(streamId)?.onFailure(error);
    }
  }

  onOversized(_type: number, streamId: number, length: number): void {
    this.#end(streamId)?.onFailure(oversized(length, this.maxMessageBytes));
  }

  onNonsense(reason: string): void {
    this.connection.close(new StatusError(Code.INTERNAL, `protocol error: ${reason}`));
  }

  onFlushed(): void {}

  onClosed(error?: Error): void {
    this.#closeError = closedError(error);
    for (const streamId of [...this.#open.keys()]) {
      this.#end(streamId)?.onFailure(this.#closeError);
    }
    // Not from here: a callback that throws must not cut short what the transport is doing.
    void Promise.resolve().then(() => this.onClose(error));
  }

  /** Sends the request and gives its stream id; gives 0, and fails the call, when it cannot be sent. */
  #begin(
    call: PendingCall,
    flags: number,
    service: string,
    method: string,
    payload: Uint8Array,
    options: CallOptions,
  ): number {
    const streamId = this.#nextStreamId;
    const refused = this.#closeError ?? this.#exhausted() ?? refusal(options);
    if (refused !== undefined) {
      call.onAbandoned(refused);
      return 0;
    }
    let frame: Uint8Array;
    try {
      const metadata = options.metadata ?? NO_METADATA;
      const request = { service, method, payload, timeoutNano: timeoutNano(options), metadata };
      frame = encodeRequest(streamId, flags, request, this.maxMessageBytes);
    } catch (error) {
      call.onAbandoned(asStatusError(error, Code.INVALID_ARGUMENT));
      return 0;
    }
    this.#nextStreamId += 2;
    this.#open.set(streamId, { call, guard: guardCall(options, (error) => this.abandon(streamId, error)) });
    this.connection.write(frame);
    return streamId;
  }

  /** A connection has some two thousand million calls in it; then it is closed, so that its owner makes another. */
  #exhausted(): StatusError | undefined {
    if (this.#nextStreamId <= STREAM_ID_MAX) {
      return undefined;
    }
    if (this.#open.size === 0) {
      this.connection.close();
    }
    return new StatusError(Code.UNAVAILABLE, "ttrpc: the connection has no stream ids left");
  }

  #respond(call: PendingCall, message: Uint8Array): void {
    let response: Response;
    try {
      response = decodeResponse(message);
    } catch (error) {
      call.onFailure(new StatusError(Code.INTERNAL, `unmarshal response error: ${errorText(error)}`, { cause: error }));
      return;
    }
    if (response.status === undefined) {
      call.onResponse(response.payload);
    } else {
      call.onFailure(response.status);
    }
  }

  #end(streamId: number): PendingCall | undefined {
    const open = this.#open.get(streamId);
    if (open !== undefined) {
      this.#open.delete(streamId);
      open.guard?.release();
    }
    return open?.call;
  }
}
