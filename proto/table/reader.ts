import { decodeUtf8 } from "./utf8.ts";

/** Groups are not used by proto3; unknown ones are skipped, to this depth. */
const GROUP_DEPTH_MAX = 32;

const NOTHING = new Uint8Array(0);

/**
 * The message being decoded. There is one at a time, since decoding is never interrupted, and in QuickJS a variable of
 * the module takes a third of the time that an object's field does. Everything throws an Error that says what is wrong
 * with the bytes. https://protobuf.dev/programming-guides/encoding/
 */
let input: Uint8Array = NOTHING;
let position = 0;
/** Where the message being read ends: the whole input, or the nested message. */
let end = 0;
/** The upper half of the varint that was read last. */
let high = 0;

/** Reads the bytes of a message, by `read`, which uses the functions below until `more` says that the end is reached. */
export function decodeFrom<T>(bytes: Uint8Array, read: () => T): T {
  input = bytes;
  position = 0;
  end = bytes.length;
  try {
    return read();
  } finally {
    input = NOTHING;
  }
}

export function more(): boolean {
  return position < end;
}

/** The next field's tag, where there is more. */
export function readTag(): number {
  const tag = readUint32();
  if (high !== 0 || tag >>> 3 === 0) throw new Error("protobuf: invalid field number");
  return tag;
}

/** The lower half of a varint. */
export function readUint32(): number {
  // Nearly all fit one byte.
  if (position < end && (input[position] as number) < 0x80) {
    high = 0;
    return input[position++] as number;
  }
  return readVarint();
}

/** The nearest number. */
export function readUint64(): number {
  const low = readUint32();
  return high * 0x1_0000_0000 + low;
}

/** The nearest number. */
export function readInt64(): number {
  const low = readUint32();
  return (high | 0) * 0x1_0000_0000 + low;
}

/** A copy: the input may be a buffer that is used again. */
export function readBytes(): Uint8Array {
  const to = readLength();
  // Not input.slice(): a Node Buffer's is a view.
  const copy = new Uint8Array(input.subarray(position, to));
  position = to;
  return copy;
}

export function readString(): string {
  const to = readLength();
  const text = decodeUtf8(input, position, to);
  position = to;
  return text;
}

/** Reads a length, and within it whatever `read` reads until `more` says that the end is reached. */
export function readDelimited<T>(read: () => T): T {
  const outer = end;
  end = readLength();
  const value = read();
  end = outer;
  return value;
}

/** Passes over the value of a field that is not known, or not of the known wire type. */
export function skip(tag: number, depth = 0): void {
  const wireType = tag & 7;
  if (wireType === 0) readUint32();
  else if (wireType === 1) advance(8);
  else if (wireType === 2) position = readLength();
  else if (wireType === 5) advance(4);
  else if (wireType === 3) skipGroup(tag + 1, depth);
  else throw new Error(`protobuf: unexpected wire type ${wireType}`);
}

function skipGroup(endTag: number, depth: number): void {
  if (depth >= GROUP_DEPTH_MAX) throw new Error("protobuf: groups nested too deeply");
  for (;;) {
    if (position >= end) throw new Error("protobuf: truncated group");
    const tag = readTag();
    if (tag === endTag) return;
    skip(tag, depth + 1);
  }
}

function advance(count: number): void {
  if (position + count > end) throw new Error("protobuf: truncated field");
  position += count;
}

/** Where the length-delimited value that begins here ends. */
function readLength(): number {
  const to = readUint32() + position;
  if (high !== 0 || to > end) throw new Error("protobuf: truncated field");
  return to;
}

function readVarint(): number {
  let low = 0;
  high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    if (position >= end) throw new Error("protobuf: truncated varint");
    const byte = input[position++] as number;
    const bits = byte & 0x7f;
    if (shift < 32) low |= bits << shift;
    if (shift === 28) high = bits >>> 4;
    else if (shift > 28) high |= bits << (shift - 32);
    if (byte < 0x80) {
      high >>>= 0;
      return low >>> 0;
    }
  }
  throw new Error("protobuf: varint longer than ten bytes");
}
