import { runtime } from "./runtime.ts";

/**
 * The part of the protobuf wire format that the four envelope messages need.
 * https://protobuf.dev/programming-guides/encoding/
 */
export const WireType = { VARINT: 0, FIXED64: 1, BYTES: 2, GROUP: 3, GROUP_END: 4, FIXED32: 5 } as const;

/** The tag of a field: its number and its wire type. */
export function tagOf(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

// A message may nest groups in unknown fields; this bounds the recursion that skips them.
const GROUP_DEPTH_MAX = 64;

/** Reads one message; every method throws an Error that says what is wrong with the bytes. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next field's tag, or 0 at the end of the message. */
  tag(): number {
    if (this.#at === this.#bytes.length) {
      return 0;
    }
    this.#varint();
    if (this.#high !== 0 || this.#low >>> 3 === 0) {
      throw new Error("protobuf: invalid field number");
    }
    return this.#low >>> 0;
  }

  /** An int32: the low half of its varint. */
  int32(): number {
    this.#varint();
    return this.#low | 0;
  }

  /** An int64 as the nearest number. */
  int64(): number {
    this.#varint();
    return (this.#high | 0) * 0x1_0000_0000 + (this.#low >>> 0);
  }

  /** A view of a length-delimited field: no copy is made. */
  bytes(): Uint8Array {
    this.#varint();
    const length = this.#low >>> 0;
    const start = this.#at;
    if (this.#high !== 0 || length > this.#bytes.length - start) {
      throw new Error("protobuf: truncated field");
    }
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  string(): string {
    return decodeUtf8(this.bytes());
  }

  /** Passes over the value of a field that this side does not know. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case WireType.VARINT:
        this.#varint();
        return;
      case WireType.FIXED64:
        this.#advance(8);
        return;
      case WireType.BYTES:
        this.bytes();
        return;
      case WireType.FIXED32:
        this.#advance(4);
        return;
      case WireType.GROUP:
        this.#skipGroup(tag, depth);
        return;
      default:
        throw new Error(`protobuf: unexpected wire type ${tag & 7}`);
    }
  }

  #skipGroup(start: number, depth: number): void {
    if (depth === GROUP_DEPTH_MAX) {
      throw new Error(`protobuf: groups nested deeper than ${GROUP_DEPTH_MAX}`);
    }
    const end = (start & ~7) | WireType.GROUP_END;
    for (let tag = this.tag(); tag >>> 0 !== end >>> 0; tag = this.tag()) {
      if (tag === 0) {
        throw new Error("protobuf: group without an end");
      }
      this.skip(tag, depth + 1);
    }
  }

  #advance(count: number): void {
    if (count > this.#bytes.length - this.#at) {
      throw new Error("protobuf: truncated field");
    }
    this.#at += count;
  }

  // Two 32-bit halves rather than a BigInt: no allocation, and lengths and tags fit the low half anyway.
  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) {
        this.#at = this.#bytes.length;
        throw new Error("protobuf: truncated varint");
      }
      if (shift === 63 && byte > 1) {
        break;
      }
      if (shift < 28) {
        low |= (byte & 0x7f) << shift;
      } else if (shift === 28) {
        low |= (byte & 0x7f) << 28;
        high = (byte & 0x7f) >>> 4;
      } else {
        high |= (byte & 0x7f) << (shift - 32);
      }
      if (byte < 0x80) {
        this.#low = low;
        this.#high = high;
        return;
      }
    }
    throw new Error("protobuf: varint overflows 64 bits");
  }
}

/** Writes fields into a buffer that is known to be large enough. */
export class WireWriter {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** A length-delimited field's tag and length; its content follows. */
  prefix(field: number, length: number): void {
    this.varint(tagOf(field, WireType.BYTES));
    this.varint(length);
  }

  bytes(field: number, value: Uint8Array): void {
    this.prefix(field, value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  string(field: number, value: string, utf8Bytes: number): void {
    this.prefix(field, utf8Bytes);
    this.#at = writeUtf8(value, this.#bytes, this.#at);
  }

  /** A non-negative integer below 2^63, exact up to 2^53. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x1000_0000) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }
}

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    size++;
  }
  return size;
}

/** Tag, length and content of a length-delimited field whose number is below 16. */
export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/** A search is many times faster than a loop in QuickJS, and no slower in V8. */
const NOT_ASCII = /[^\0-\x7f]/;

export function utf8Length(text: string): number {
  if (!NOT_ASCII.test(text)) {
    return text.length;
  }
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x800) {
      length += 2;
      if (isPair(unit, text.charCodeAt(i + 1))) {
        i++; // two units, four bytes: one has counted for three, the other for one
      }
    } else if (unit >= 0x80) {
      length += 1;
    }
  }
  return length;
}

/** From this many units on the host's encoder is faster than a loop, in either engine. */
const ENCODER_LENGTH = 16;
let encoder: { encode(text: string): Uint8Array } | undefined;

function writeUtf8(text: string, target: Uint8Array, start: number): number {
  if (text.length >= ENCODER_LENGTH && !NOT_ASCII.test(text)) {
    encoder ??= new runtime.TextEncoder();
    target.set(encoder.encode(text), start);
    return start + text.length;
  }
  let at = start;
  for (let i = 0; i < text.length; i++) {
    let unit = text.charCodeAt(i);
    if (unit < 0x80) {
      target[at++] = unit;
      continue;
    }
    if (unit < 0x800) {
      target[at++] = 0xc0 | (unit >> 6);
    } else {
      const next = text.charCodeAt(i + 1);
      if (isPair(unit, next)) {
        i++;
        unit = 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff);
        target[at++] = 0xf0 | (unit >> 18);
        target[at++] = 0x80 | ((unit >> 12) & 0x3f);
      } else {
        if (unit >= 0xd800 && unit <= 0xdfff) {
          unit = 0xfffd; // half a pair has no UTF-8 form
        }
        target[at++] = 0xe0 | (unit >> 12);
      }
      target[at++] = 0x80 | ((unit >> 6) & 0x3f);
    }
    target[at++] = 0x80 | (unit & 0x3f);
  }
  return at;
}

function isPair(high: number, low: number): boolean {
  return high >= 0xd800 && high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff;
}

let decoder: { decode(bytes: Uint8Array): string } | undefined;

function decodeUtf8(bytes: Uint8Array): string {
  // Names and ids are short ASCII: far cheaper so than through a TextDecoder, in either engine.
  if (bytes.length <= 256) {
    const text = String.fromCharCode.apply(null, bytes as unknown as number[]);
    if (!NOT_ASCII.test(text)) {
      return text;
    }
  }
  decoder ??= new runtime.TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Error("protobuf: string field contains invalid UTF-8");
  }
}
