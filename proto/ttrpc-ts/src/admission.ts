import { HELD_MESSAGES_MAX } from "./frame.ts";
import { Code, StatusError } from "./status.ts";

/** What one connection may have running at a server, so that no client can grow it without bound. */
export interface Admission {
  /** Handlers that have not come back, the ones included that nobody waits for any more. */
  readonly running: number;
  /** Throws RESOURCE_EXHAUSTED unless one more request, of this length, is within the limits. */
  check(bytes: number): void;
  enter(bytes: number): void;
  leave(bytes: number): void;
}

export function createAdmission(maxCalls: number, maxMessageBytes: number): Admission {
  return new CallsAndBytes(maxCalls, HELD_MESSAGES_MAX * maxMessageBytes);
}

class CallsAndBytes implements Admission {
  running = 0;
  #held = 0;
  readonly #maxCalls: number;
  readonly #maxBytes: number;

  constructor(maxCalls: number, maxBytes: number) {
    this.#maxCalls = maxCalls;
    this.#maxBytes = maxBytes;
  }

  check(bytes: number): void {
    if (this.running >= this.#maxCalls) {
      throw exhausted(`too many calls on one connection: ${this.running} of ${this.#maxCalls} are running`);
    }
    if (this.#held + bytes > this.#maxBytes) {
      const most = this.#maxBytes;
      throw exhausted(`requests running on one connection hold too much: ${this.#held} and ${bytes} of ${most} bytes`);
    }
  }

  enter(bytes: number): void {
    this.running++;
    this.#held += bytes;
  }

  leave(bytes: number): void {
    this.running--;
    this.#held -= bytes;
  }
}

function exhausted(message: string): StatusError {
  return new StatusError(Code.RESOURCE_EXHAUSTED, message);
}
