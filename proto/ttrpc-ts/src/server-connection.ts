import { type Admission, createAdmission } from "./admission.ts";
import { cancelled } from "./call.ts";
import { type Connection, type ConnectionHandler, createConnection } from "./connection.ts";
import { assertLength, decodeRequest, encodeResponse, encodeStatus, oversized, type Request } from "./envelope.ts";
import { encodeData, Flag, MessageType } from "./frame.ts";
import type { RawHandler, RegisteredMethod, ServiceSet } from "./handler.ts";
import { invalid, marshal, receive, unmarshal } from "./marshal.ts";
import { createMessageQueue } from "./queue.ts";
import { type CallContext, createServerCall, type ServerCall } from "./server-call.ts";
import type { Codec } from "./service.ts";
import { asStatusError, Code, StatusError } from "./status.ts";
import type { Transport } from "./transport.ts";

/** One client of a server. */
export interface ServerConnection {
  /** Closes as soon as nothing runs and everything is sent. */
  drain(): void;
  /** Closes now; what runs is told to stop. */
  close(): void;
}

/** What a connection needs of its server. None of the methods may throw. */
export interface ServerHost {
  readonly services: ServiceSet;
  readonly maxMessageBytes: number;
  readonly maxConcurrentCalls: number;
  readonly stopping: boolean;
  report(error: unknown, context?: CallContext): void;
  callStarted(): void;
  callEnded(): void;
  connectionClosed(connection: ServerConnection): void;
}

export function createServerConnection(transport: Transport, host: ServerHost): ServerConnection {
  return new ServingConnection(transport, host);
}

class ServingConnection implements ServerConnection, ConnectionHandler {
  readonly #host: ServerHost;
  readonly #connection: Connection;
  /** The calls that somebody waits for, by stream id. */
  readonly #calls = new Map<number, ServerCall>();
  #lastStreamId = 0;
  readonly #admission: Admission;
  #draining = false;

  constructor(transport: Transport, host: ServerHost) {
    this.#host = host;
    const { maxMessageBytes, maxConcurrentCalls } = host;
    this.#admission = createAdmission(maxConcurrentCalls, maxMessageBytes);
    this.#connection = createConnection(transport, this, { maxMessageBytes, holdWhenCongested: true });
  }

  drain(): void {
    this.#draining = true;
    this.#closeIfDrained();
  }

  close(): void {
    this.#connection.close();
  }

  onFrame(type: number, flags: number, streamId: number, message: Uint8Array): void {
    if (streamId % 2 !== 1) {
      this.#refuse(streamId, invalid("StreamID must be odd for client initiated streams"));
    } else if (type === MessageType.REQUEST) {
      this.#onRequest(flags, streamId, message);
    } else if (type === MessageType.DATA) {
      this.#onData(flags, streamId, message);
    } else if (type === MessageType.RESPONSE) {
      this.onNonsense(`a client sent a response, on stream ${streamId}`);
    }
    // other types are left to later versions of the protocol, as containerd's server leaves them
  }

  onOversized(type: number, streamId: number, length: number): void {
    const error = oversized(length, this.#host.maxMessageBytes);
    const call = type === MessageType.DATA ? this.#calls.get(streamId) : undefined;
    if (call !== undefined) {
      this.#drop(call, error);
      return;
    }
    if (type === MessageType.REQUEST && streamId % 2 === 1 && streamId > this.#lastStreamId) {
      this.#lastStreamId = streamId;
    }
    this.#refuse(streamId, error);
  }

  onNonsense(reason: string): void {
    const error = invalid(`protocol error: ${reason}`);
    this.#host.report(error);
    this.#connection.close(error);
  }

  onFlushed(): void {
    this.#closeIfDrained();
  }

  onClosed(): void {
    for (const call of this.#calls.values()) {
      call.abort(cancelled());
      call.end();
    }
    this.#calls.clear();
    this.#host.connectionClosed(this);
  }

  #onRequest(flags: number, streamId: number, message: Uint8Array): void {
    if (streamId <= this.#lastStreamId) {
      this.#refuse(streamId, invalid("StreamID cannot be re-used and must increment"));
      return;
    }
    this.#lastStreamId = streamId;
    let call: ServerCall;
    let method: RegisteredMethod | RawHandler;
    let input: unknown;
    try {
      if (this.#host.stopping) {
        throw new StatusError(Code.UNAVAILABLE, "ttrpc: server closed");
      }
      this.#admission.check(message.length);
      const request = unmarshal("request", decodeRequest, message);
      method = this.#host.services.find(request.service, request.method);
      input = typeof method === "function" ? request.payload : this.#inputOf(method, request);
      call = createServerCall(streamId, request, message.length);
    } catch (error) {
      this.#refuse(streamId, asStatusError(error));
      return;
    }
    if (typeof method !== "function" && method.definition.clientStreaming === true) {
      input = this.#openQueue(call, flags, method.definition.input, input as Uint8Array);
    }
    this.#calls.set(streamId, call);
    this.#admission.enter(call.heldBytes);
    this.#host.callStarted();
    if (typeof method !== "function" && method.definition.serverStreaming === true) {
      void this.#stream(call, method, input);
    } else {
      this.#invoke(call, method, input);
    }
  }

  #inputOf({ definition }: RegisteredMethod, request: Request): unknown {
    return definition.clientStreaming === true
      ? request.payload
      : unmarshal("request", definition.input.decode.bind(definition.input), request.payload);
  }

  #openQueue(call: ServerCall, flags: number, codec: Codec<unknown>, payload: Uint8Array): AsyncIterable<unknown> {
    const queue = createMessageQueue(this.#connection);
    call.queue = queue;
    // As with containerd's server, a request that opens a stream may carry the first message, unless it is empty.
    if (payload.length > 0) {
      queue.push(payload);
    }
    if ((flags & Flag.REMOTE_OPEN) === 0) {
      call.remoteClosed = true;
      queue.end();
    }
    return receive(queue, codec);
  }

  #onData(flags: number, streamId: number, message: Uint8Array): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) {
      this.#refuse(streamId, invalid("StreamID is no longer active"));
      return;
    }
    const hasData = (flags & Flag.NO_DATA) === 0;
    if (call.queue === undefined) {
      if (hasData || message.length > 0) {
        this.#drop(call, invalid(`data handling error: method ${call.method} takes no stream`));
      }
      return;
    }
    if (hasData) {
      if (call.remoteClosed) {
        this.#drop(call, invalid("data handling error: ttrpc: stream closed"));
        return;
      }
      call.queue.push(message);
    }
    if ((flags & Flag.REMOTE_CLOSED) !== 0) {
      call.remoteClosed = true;
      call.queue.end();
      if (message.length > 0) {
        this.#drop(call, invalid("data close message cannot include data"));
      }
    }
  }

  /** Runs a handler that gives one answer; without a detour through promises when it gives it at once. */
  #invoke(call: ServerCall, method: RegisteredMethod | RawHandler, input: unknown): void {
    const raw = typeof method === "function";
    const codec = raw ? undefined : method.definition.output;
    let output: unknown;
    try {
      output = raw ? method(input as Uint8Array, call) : method.handle(input, call);
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    if (isPromise(output)) {
      output.then(
        (value) => this.#answer(call, codec, value),
        (error) => this.#fail(call, error),
      );
    } else {
      this.#answer(call, codec, output);
    }
  }

  async #stream(call: ServerCall, method: RegisteredMethod, input: unknown): Promise<void> {
    try {
      const messages = method.handle(input, call) as AsyncIterable<unknown>;
      for await (const message of messages) {
        await this.#send(call, marshal(method.definition.output, message));
      }
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    if (this.#end(call)) {
      this.#connection.write(encodeData(call.streamId, Flag.REMOTE_CLOSED | Flag.NO_DATA));
    }
    this.#settled(call);
  }

  async #send(call: ServerCall, message: Uint8Array): Promise<void> {
    if (call.signal.aborted) {
      throw call.signal.reason;
    }
    assertLength(message.length, this.#host.maxMessageBytes);
    this.#connection.write(encodeData(call.streamId, 0, message));
    if (this.#connection.congested) {
      await this.#connection.drained(call.signal);
    }
  }

  #answer(call: ServerCall, codec: Codec<unknown> | undefined, output: unknown): void {
    let frame: Uint8Array;
    try {
      const payload = codec === undefined ? (output as Uint8Array) : marshal(codec, output);
      frame = encodeResponse(call.streamId, payload, this.#host.maxMessageBytes);
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    if (this.#end(call)) {
      this.#connection.write(frame);
    }
    this.#settled(call);
  }

  #fail(call: ServerCall, thrown: unknown): void {
    const status = call.statusOf(thrown);
    if (status.cause === thrown || status.code === Code.INTERNAL) {
      this.#host.report(thrown, call); // nothing a client should be told by: a fault on this side
    }
    if (this.#end(call)) {
      this.#refuse(call.streamId, status);
    }
    this.#settled(call);
  }

  /** Ends a call whose handler still runs: it is told to stop, and its answer will be ignored. */
  #drop(call: ServerCall, error: StatusError): void {
    call.abort(error);
    this.#end(call);
    this.#refuse(call.streamId, error);
  }

  #end(call: ServerCall): boolean {
    if (!call.end()) {
      return false;
    }
    this.#calls.delete(call.streamId);
    return true;
  }

  #settled(call: ServerCall): void {
    this.#admission.leave(call.heldBytes);
    this.#host.callEnded();
    this.#closeIfDrained();
  }

  #refuse(streamId: number, error: StatusError): void {
    this.#connection.write(encodeStatus(streamId, error, this.#host.maxMessageBytes));
  }

  #closeIfDrained(): void {
    if (this.#draining && this.#admission.running === 0 && this.#connection.flushed) {
      this.#connection.close();
    }
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
