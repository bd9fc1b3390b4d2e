import { type CancelSignal, startTimer, type Timer } from "./cancel.ts";
import { Flag } from "./frame.ts";
import type { Metadata } from "./metadata.ts";
import { Code, StatusError } from "./status.ts";

/** What a call may be given besides its message. */
export interface CallOptions {
  /** The call fails with DEADLINE_EXCEEDED after this time, and the server is told of it. None: no limit. */
  timeoutMs?: number | undefined;
  metadata?: Metadata | undefined;
  /** The call fails with CANCELLED when it aborts. The server is not told: ttrpc has no message for that. */
  signal?: CancelSignal | undefined;
}

/** What waits at a client for the frames of one stream. After `onData` gave true, or after another method, no more come. */
export interface PendingCall {
  /** The stream ended with a response. */
  onResponse(payload: Uint8Array): void;
  /** Gives true if the stream ended with this. */
  onData(flags: number, message: Uint8Array): boolean;
  /** The stream ended in failure: what came before may still be read. */
  onFailure(error: StatusError): void;
  /** This side gave the call up. */
  onAbandoned(error: StatusError): void;
}

export function deadlineExceeded(): StatusError {
  return new StatusError(Code.DEADLINE_EXCEEDED, "context deadline exceeded");
}

export function cancelled(): StatusError {
  return new StatusError(Code.CANCELLED, "context canceled");
}

/** Why a call cannot even begin, or undefined. */
export function refusal(options: CallOptions): StatusError | undefined {
  const { timeoutMs, signal } = options;
  if (signal?.aborted === true) {
    return cancelled();
  }
  if (timeoutMs === undefined || timeoutMs > 0) {
    return undefined;
  }
  return Number.isNaN(timeoutMs)
    ? new StatusError(Code.INVALID_ARGUMENT, "timeoutMs: expected a number of milliseconds, got NaN")
    : deadlineExceeded();
}

/** Gives a call up when its time is over or its signal aborts. */
export interface CallGuard {
  release(): void;
}

/** The guard that the options ask for; undefined when they ask for none, so that a plain call pays for nothing. */
export function guardCall(options: CallOptions, abandon: (error: StatusError) => void): CallGuard | undefined {
  return isLimited(options.timeoutMs) || options.signal !== undefined
    ? new TimerAndSignal(options, abandon)
    : undefined;
}

function isLimited(timeoutMs: number | undefined): timeoutMs is number {
  return timeoutMs !== undefined && timeoutMs !== Number.POSITIVE_INFINITY;
}

/** `Request.timeout_nano`: 0 when there is no limit. */
export function timeoutNano({ timeoutMs }: CallOptions): number {
  return isLimited(timeoutMs) ? Math.ceil(timeoutMs * 1e6) : 0;
}

class TimerAndSignal implements CallGuard {
  readonly #signal: CancelSignal | undefined;
  readonly #timer: Timer | undefined;
  readonly #onAbort: () => void;

  constructor({ timeoutMs, signal }: CallOptions, abandon: (error: StatusError) => void) {
    this.#onAbort = () => abandon(cancelled());
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
    if (isLimited(timeoutMs)) {
      this.#timer = startTimer(timeoutMs, () => abandon(deadlineExceeded()));
    }
  }

  release(): void {
    this.#timer?.cancel();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** One request, one response. */
export function createUnaryCall(
  resolve: (payload: Uint8Array) => void,
  reject: (error: StatusError) => void,
): PendingCall {
  return new UnaryCall(resolve, reject);
}

class UnaryCall implements PendingCall {
  readonly onResponse: (payload: Uint8Array) => void;
  readonly onFailure: (error: StatusError) => void;
  readonly onAbandoned: (error: StatusError) => void;

  constructor(resolve: (payload: Uint8Array) => void, reject: (error: StatusError) => void) {
    this.onResponse = resolve;
    this.onFailure = reject;
    this.onAbandoned = reject;
  }

  onData(flags: number): boolean {
    const what = flags & Flag.NO_DATA ? "end of stream" : "data message";
    this.onFailure(new StatusError(Code.INTERNAL, `unexpected ${what} on a unary call: protocol error`));
    return true;
  }
}
