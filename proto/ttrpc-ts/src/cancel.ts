import { runtime } from "./runtime.ts";
import type { StatusError } from "./status.ts";

/**
 * What tells a running call to stop. An AbortSignal fits where one is asked for.
 * https://dom.spec.whatwg.org/#interface-AbortSignal
 */
export interface CancelSignal {
  readonly aborted: boolean;
  /** Why, once aborted: the signals that this package makes give a StatusError. */
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** The side that aborts. */
export interface CancelSource {
  readonly signal: CancelSignal;
  /** The first reason counts; a listener that throws does not keep the others from being told. */
  abort(reason: StatusError): void;
}

export function createCancelSource(): CancelSource {
  return new ListenerList();
}

class ListenerList implements CancelSource, CancelSignal {
  reason: StatusError | undefined;
  #listeners: Set<() => void> | undefined;

  get signal(): CancelSignal {
    return this;
  }

  get aborted(): boolean {
    return this.reason !== undefined;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  abort(reason: StatusError): void {
    if (this.aborted) {
      return;
    }
    this.reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) {
      try {
        listener();
      } catch {
        // it is the listener's own affair
      }
    }
  }
}

/** A running timer. */
export interface Timer {
  cancel(): void;
}

// A host's timer takes 31 bits of milliseconds; Node fires at once above that.
const TIMER_MAX_MS = 0x7fff_ffff;

/** Calls once, after any number of milliseconds; the callback must not throw. */
export function startTimer(ms: number, expired: () => void): Timer {
  return new LongTimer(ms, expired);
}

class LongTimer implements Timer {
  readonly #expired: () => void;
  #left: number;
  #handle: unknown;

  constructor(ms: number, expired: () => void) {
    this.#expired = expired;
    this.#left = ms;
    this.#arm();
  }

  cancel(): void {
    runtime.clearTimeout(this.#handle);
  }

  #arm(): void {
    const ms = Math.min(this.#left, TIMER_MAX_MS);
    this.#left -= ms;
    this.#handle = runtime.setTimeout(() => (this.#left > 0 ? this.#arm() : this.#expired()), ms);
  }
}
