import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";

const COUNTER_BYTES = 8;

/** A number of bytes that outlives this process. */
export interface Counter {
  readonly value: number;
  add(bytes: number): void;
  close(): void;
}

export function createCounter(path: string): Counter {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  const stored = readFileSync(path);
  const buffer = Buffer.alloc(COUNTER_BYTES);
  let value = stored.length === COUNTER_BYTES ? Number(stored.readBigUInt64LE()) : 0;
  return {
    get value() {
      return value;
    },
    add(bytes) {
      value += bytes;
      buffer.writeBigUInt64LE(BigInt(value));
      writeSync(fd, buffer, 0, COUNTER_BYTES, 0);
    },
    close: () => closeSync(fd),
  };
}
