/** google.protobuf.Timestamp: `nanos` counts forwards from `seconds`, before 1970 too. */
export interface Timestamp {
  seconds: number;
  nanos: number;
}

/** Milliseconds since 1970, of which a fraction counts down to the microsecond. */
export function timestampFromMs(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1000) * 1000;
  return nanos < 1e9 ? { seconds, nanos } : { seconds: seconds + 1, nanos: nanos - 1e9 };
}

export function timestampFromDate(date: Date): Timestamp {
  return timestampFromMs(date.getTime());
}

/** Now, to the millisecond. */
export function timestampNow(): Timestamp {
  return timestampFromMs(Date.now());
}

/** Nanoseconds since 1970: beyond 2^53, hence a bigint. */
export function timestampFromNs(ns: bigint): Timestamp {
  const nanos = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanos) / 1_000_000_000n), nanos: Number(nanos) };
}

export function timestampToNs({ seconds, nanos }: Timestamp): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
}

/** Milliseconds since 1970, with a fraction. */
export function timestampToMs({ seconds, nanos }: Timestamp): number {
  return seconds * 1000 + nanos / 1e6;
}

/** A Date holds whole milliseconds: the rest is cut off. */
export function timestampToDate(timestamp: Timestamp): Date {
  return new Date(Math.floor(timestampToMs(timestamp)));
}
