/** A moment, as google.protobuf.Timestamp has it. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** How a process ended: 128 + the signal's number if a signal ended it, 255 if nobody can know. */
export interface Exit {
  readonly status: number;
  readonly at: Timestamp;
}

/** How a sandbox ended. */
export interface SandboxExit extends Exit {
  /** Why, for people, where it was not asked to: which process ended, and what was last heard of it. */
  readonly reason?: string;
}

export const UNKNOWN_EXIT_STATUS = 255;

export function now(): Timestamp {
  const ms = Date.now();
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
}

export function unknownExit(): Exit {
  return { status: UNKNOWN_EXIT_STATUS, at: now() };
}
