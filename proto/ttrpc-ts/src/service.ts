/** Turns a message into its bytes and back; `decode` throws on bytes that are no such message. */
export interface Codec<T> {
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** One rpc of a service: its name on the wire, its messages, its shape. */
export interface MethodDefinition<I = unknown, O = unknown> {
  readonly name: string;
  readonly input: Codec<I>;
  readonly output: Codec<O>;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
}

/** A service: its full name on the wire, and its methods by rpc name with the first letter lowered. */
export interface ServiceDefinition {
  readonly name: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

/** The messages a method takes and gives. */
export type InputOf<M> = M extends { readonly input: Codec<infer I> } ? I : never;
export type OutputOf<M> = M extends { readonly output: Codec<infer O> } ? O : never;

/** Picks a type by the shape of a method. */
export type ByShape<M, Unary, ServerStreaming, ClientStreaming, BidiStreaming> = M extends {
  readonly clientStreaming: true;
}
  ? M extends { readonly serverStreaming: true }
    ? BidiStreaming
    : ClientStreaming
  : M extends { readonly serverStreaming: true }
    ? ServerStreaming
    : Unary;
