import type { CallOptions } from "./call.ts";
import type { Client } from "./client.ts";
import type { ByShape, Codec, InputOf, MethodDefinition, OutputOf, ServiceDefinition } from "./service.ts";
import { asStatusError, Code, errorText, StatusError } from "./status.ts";
import type { ClientStream } from "./stream.ts";

/** A streaming call of which the server sends the messages. */
export interface ServerStreamingCall<O> extends AsyncIterable<O> {
  /** The next message, or undefined when the server has ended the stream with success. */
  receive(): Promise<O | undefined>;
  /** Gives the call up, as leaving a `for await` loop does. */
  cancel(): void;
}

/** A streaming call to which the client sends messages; the server's come by `receive` or `for await`. */
export interface StreamingCall<I, O> extends ServerStreamingCall<O> {
  /** Sends a message; settles when there is room for the next one. */
  send(message: I): Promise<void>;
  /** No more will be sent. */
  closeSend(): void;
}

/** A streaming call that the server answers once. */
export interface ClientStreamingCall<I, O> extends StreamingCall<I, O> {
  /** Ends the sending and gives the answer. */
  closeAndReceive(): Promise<O>;
}

/** One function a method, by the shape of the method. */
export type Stub<S extends ServiceDefinition> = {
  readonly [K in keyof S["methods"]]: StubMethod<S["methods"][K]>;
};

type StubMethod<M> = ByShape<
  M,
  (request: InputOf<M>, options?: CallOptions) => Promise<OutputOf<M>>,
  (request: InputOf<M>, options?: CallOptions) => ServerStreamingCall<OutputOf<M>>,
  (options?: CallOptions) => ClientStreamingCall<InputOf<M>, OutputOf<M>>,
  (options?: CallOptions) => StreamingCall<InputOf<M>, OutputOf<M>>
>;

/** Typed calls of a service on a client. Everything fails with a StatusError. */
export function createStub<S extends ServiceDefinition>(service: S, client: Client): Stub<S> {
  const stub: Record<string, unknown> = {};
  for (const [key, method] of Object.entries(service.methods)) {
    stub[key] = stubMethod(service.name, method, client);
  }
  return stub as Stub<S>;
}

function stubMethod(service: string, method: MethodDefinition, client: Client): unknown {
  const { name, input, output } = method;
  if (method.clientStreaming === true) {
    return (options?: CallOptions) => new TypedCall(client.stream(service, name, options), input, output);
  }
  if (method.serverStreaming === true) {
    return (request: unknown, options?: CallOptions) => {
      const payload = encode(input, request);
      return new TypedCall(client.stream(service, name, { ...options, payload }), input, output);
    };
  }
  return async (request: unknown, options?: CallOptions) =>
    decode(output, await client.call(service, name, encode(input, request), options));
}

class TypedCall<I, O> implements ClientStreamingCall<I, O> {
  readonly #stream: ClientStream;
  readonly #input: Codec<I>;
  readonly #output: Codec<O>;

  constructor(stream: ClientStream, input: Codec<I>, output: Codec<O>) {
    this.#stream = stream;
    this.#input = input;
    this.#output = output;
  }

  async send(message: I): Promise<void> {
    await this.#stream.send(encode(this.#input, message));
  }

  closeSend(): void {
    this.#stream.closeSend();
  }

  async receive(): Promise<O | undefined> {
    const payload = await this.#stream.receive();
    return payload === undefined ? undefined : decode(this.#output, payload);
  }

  async closeAndReceive(): Promise<O> {
    this.closeSend();
    const response = await this.receive();
    if (response === undefined) {
      throw new StatusError(Code.INTERNAL, "the stream ended without a response: protocol error");
    }
    return response;
  }

  cancel(): void {
    this.#stream.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<O, void, undefined> {
    for await (const payload of this.#stream) {
      yield decode(this.#output, payload);
    }
  }
}

function encode<T>(codec: Codec<T>, message: T): Uint8Array {
  try {
    return codec.encode(message);
  } catch (error) {
    throw asStatusError(error, Code.INVALID_ARGUMENT);
  }
}

function decode<T>(codec: Codec<T>, payload: Uint8Array): T {
  try {
    return codec.decode(payload);
  } catch (error) {
    const text = `unmarshal response error: ${errorText(error)}`;
    throw new StatusError(Code.INTERNAL, text, { cause: error });
  }
}
