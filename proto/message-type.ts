/**
 * A generated message: how to make, encode and decode it. `Fields` is what may be given, `Message` what is read.
 * It is a codec of `Message` (the overload that type inference looks at stands last) that takes `Fields` as well.
 */
export interface MessageType<Fields, Message> {
  /** The full name, which is also containerd's type URL for the message in a google.protobuf.Any. */
  readonly typeName: string;
  /** Fields at their default are not written. */
  encode(message: Fields): Uint8Array;
  encode(message: Message): Uint8Array;
  /** Throws an Error that says what is wrong with the bytes. A `bytes` field may be a view of them. */
  decode(bytes: Uint8Array): Message;
  /** The message with the default in every field that is not given. */
  create(fields?: Fields): Message;
}

/** What may be given to make a message, and what is read from one. */
export type FieldsOf<Type> = Type extends { create(fields?: infer Fields): unknown } ? Fields : never;
export type MessageOf<Type> = Type extends { decode(bytes: Uint8Array): infer Message } ? Message : never;

type AnyMessage = MessageType<never, unknown>;

/** One rpc of a service. Streaming ones have `clientStreaming: true`, `serverStreaming: true`, or both. */
export interface Method<Input = AnyMessage, Output = AnyMessage> {
  readonly name: string;
  readonly input: Input;
  readonly output: Output;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
}

/** A service as generated. Methods are keyed by the rpc's name with its first letter lowered. */
export interface Service {
  readonly name: string;
  readonly methods: Readonly<Record<string, Method>>;
}
