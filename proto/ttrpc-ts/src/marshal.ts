import { cancelled } from "./call.ts";
import type { MessageQueue } from "./queue.ts";
import type { Codec } from "./service.ts";
import { Code, errorText, StatusError } from "./status.ts";

/** What a client streams to a handler, decoded. */
export async function* receive(queue: MessageQueue, codec: Codec<unknown>): AsyncGenerator<unknown, void, undefined> {
  try {
    for (let message = await queue.next(); message !== undefined; message = await queue.next()) {
      yield unmarshal("message", codec.decode.bind(codec), message);
    }
  } finally {
    // Whoever stops reading early must not hold the connection with what still comes.
    queue.fail(cancelled(), true);
  }
}

/** Throws INVALID_ARGUMENT for bytes that do not decode: they are the client's fault. */
export function unmarshal<T>(what: string, decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T {
  try {
    return decode(bytes);
  } catch (error) {
    throw invalid(`unmarshal ${what} error: ${errorText(error)}`);
  }
}

/** Throws INTERNAL for an answer that does not encode: it is the handler's fault. */
export function marshal(codec: Codec<unknown>, message: unknown): Uint8Array {
  try {
    return codec.encode(message);
  } catch (error) {
    throw new StatusError(Code.INTERNAL, `marshal response error: ${errorText(error)}`, { cause: error });
  }
}

export function invalid(message: string): StatusError {
  return new StatusError(Code.INVALID_ARGUMENT, message);
}
