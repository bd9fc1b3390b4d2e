import { encodeUtf8 } from "./utf8.ts";

const INITIAL_BYTES = 512;
/** A buffer that one large message has made longer than this is not kept for the next. */
const KEPT_BYTES = 16 * 1024;

/**
 * The message being encoded. There is one such buffer, since encoding is never interrupted: an encoder for each
 * message would be garbage at once.
 */
let buffer = new Uint8Array(INITIAL_BYTES);
let position = 0;

/** Runs the writes and takes what they wrote. */
export function collect(write: () => void): Uint8Array {
  position = 0;
  write();
  const bytes = buffer.slice(0, position);
  if (buffer.length > KEPT_BYTES) buffer = new Uint8Array(INITIAL_BYTES);
  return bytes;
}

function reserve(count: number): void {
  if (position + count <= buffer.length) return;
  const larger = new Uint8Array(Math.max(buffer.length * 2, position + count));
  larger.set(buffer.subarray(0, position));
  buffer = larger;
}

export function writeVarint32(value: number): void {
  reserve(5);
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) buffer[position++] = (rest & 0x7f) | 0x80;
  buffer[position++] = rest;
}

/** Any integer from -2^63 to 2^64 that is a number: a negative one takes ten bytes. */
export function writeVarint64(value: number): void {
  const upper = Math.floor(value / 0x1_0000_0000);
  let low = (value - upper * 0x1_0000_0000) >>> 0;
  let high = upper >>> 0;
  reserve(10);
  while (high !== 0) {
    buffer[position++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  writeVarint32(low);
}

export function writeBytes(value: Uint8Array): void {
  writeVarint32(value.length);
  reserve(value.length);
  buffer.set(value, position);
  position += value.length;
}

export function writeString(value: string): void {
  const start = beginDelimited();
  reserve(value.length * 3);
  position = encodeUtf8(value, buffer, position);
  endDelimited(start);
}

/** Leaves one byte for a length; what is written until endDelimited is what it counts. */
export function beginDelimited(): number {
  reserve(1);
  return ++position;
}

export function endDelimited(start: number): void {
  const length = position - start;
  // Most lengths fit the one byte; the content of the others moves up.
  const more = length < 0x80 ? 0 : length < 0x4000 ? 1 : length < 0x20_0000 ? 2 : length < 0x1000_0000 ? 3 : 4;
  if (more > 0) {
    reserve(more);
    buffer.copyWithin(start + more, start, position);
    position += more;
  }
  let at = start - 1;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) buffer[at++] = (rest & 0x7f) | 0x80;
  buffer[at] = rest;
}
