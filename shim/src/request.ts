import { Code, StatusError } from "ttrpc-ts";

/** A request's message. INVALID_ARGUMENT for bytes that are none: they are the caller's fault, not this side's. */
export function readRequest<T>(
  type: { readonly typeName: string; decode(bytes: Uint8Array): T },
  payload: Uint8Array,
): T {
  try {
    return type.decode(payload);
  } catch (error) {
    throw new StatusError(Code.INVALID_ARGUMENT, `expected a ${type.typeName}: ${(error as Error).message}`);
  }
}
