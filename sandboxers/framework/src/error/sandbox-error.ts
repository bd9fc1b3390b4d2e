/**
 * The gRPC status codes that a sandboxer answers with.
 * https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
 */
export const ErrorCode = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Whether it is one of gRPC's, of which a sandboxer makes some itself. */
export function isErrorCode(code: number): code is ErrorCode {
  return Number.isInteger(code) && code >= 1 && code <= 16;
}

/** The one error of a sandboxer: made where the cause is known, converted to the wire once, in `service/wire-error`. */
export class SandboxError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SandboxError";
    this.code = code;
  }
}

export function invalidArgument(message: string): SandboxError {
  return new SandboxError(ErrorCode.INVALID_ARGUMENT, message);
}

export function notFound(message: string): SandboxError {
  return new SandboxError(ErrorCode.NOT_FOUND, message);
}

export function alreadyExists(message: string): SandboxError {
  return new SandboxError(ErrorCode.ALREADY_EXISTS, message);
}

export function failedPrecondition(message: string): SandboxError {
  return new SandboxError(ErrorCode.FAILED_PRECONDITION, message);
}

export function unimplemented(message: string): SandboxError {
  return new SandboxError(ErrorCode.UNIMPLEMENTED, message);
}

export function unavailable(message: string, cause?: unknown): SandboxError {
  return new SandboxError(ErrorCode.UNAVAILABLE, message, cause === undefined ? undefined : { cause });
}

/** For what the runc shim answers with code UNKNOWN and a text that clients know: an OCI runtime's own failure. */
export function unknown(message: string): SandboxError {
  return new SandboxError(ErrorCode.UNKNOWN, message);
}

export function isCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof SandboxError && error.code === code;
}

/** The text of whatever was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's code of a failed system call (`ENOENT`), or undefined. */
export function errno(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
