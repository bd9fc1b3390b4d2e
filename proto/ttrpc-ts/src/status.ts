/**
 * The status codes of gRPC, which ttrpc shares.
 * https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
 */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type Code = (typeof Code)[keyof typeof Code];

/** One `google.protobuf.Any` of `google.rpc.Status.details`, still encoded. */
export interface StatusDetail {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface StatusErrorOptions {
  cause?: unknown;
  details?: readonly StatusDetail[];
}

/** The one error of this package: what a call ended with, as the peer (or this side, for the peer) put it. */
export class StatusError extends Error {
  readonly code: Code;
  readonly details: readonly StatusDetail[];

  constructor(code: Code, message: string, options?: StatusErrorOptions) {
    super(message, options !== undefined && "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options?.details ?? NO_DETAILS;
  }
}

// On the prototype: an own property would be listed by every inspection of every error.
Object.defineProperty(StatusError.prototype, "name", { value: "StatusError", configurable: true, writable: true });

const NO_DETAILS: readonly StatusDetail[] = Object.freeze([]);

const NAMES = Object.keys(Code) as (keyof typeof Code)[];

/** `NOT_FOUND` for 5; `CODE_99` for a number that gRPC does not define. */
export function codeName(code: number): string {
  return NAMES[code] ?? `CODE_${code}`;
}

/** What was thrown as a StatusError: itself if it is one, otherwise with the given code and its own text. */
export function asStatusError(thrown: unknown, code: Code = Code.UNKNOWN): StatusError {
  if (thrown instanceof StatusError) {
    return thrown;
  }
  return new StatusError(code, errorText(thrown), { cause: thrown });
}

/** The message of an Error, or the value as text. Never throws, even for objects that cannot be turned into text. */
export function errorText(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return "an error that has no text";
  }
}
