import { decodeUtf8 } from "./utf8.ts";

/** Groups are not used by proto3; unknown ones are skipped, to this depth. */
const GROUP_DEPTH_MAX = 32;

/**
 * Reads a message's bytes. Every method throws an Error that says what is wrong with them.
 * https://protobuf.dev/programming-guides/encoding/
 */
export class Reader {
  #low = 0;
  #high = 0;
  #position = 0;
  /** Where the message being read ends: the whole input, or the nested message. */
  #end: number;

  constructor(readonly bytes: Uint8Array) {
    this.#end = bytes.length;
  }

  /** The next field's tag, or 0 at the end of the message. */
  tag(): number {
    if (this.#position === this.#end) return 0;
    const tag = this.uint32();
    if (this.#high !== 0 || tag >>> 3 === 0) throw new Error("protobuf: invalid field number");
    return tag;
  }

  uint32(): number {
    this.#varint();
    return this.#low;
  }

  /** The nearest number. */
  uint64(): number {
    this.#varint();
    return this.#high * 0x1_0000_0000 + this.#low;
  }

  /** The nearest number. */
  int64(): number {
    this.#varint();
    return (this.#high | 0) * 0x1_0000_0000 + this.#low;
  }

  /** A copy: the input may be a buffer that is used again. */
  copy(): Uint8Array {
    const end = this.#length();
    // Not bytes.slice(): a Node Buffer's is a view.
    const copy = new Uint8Array(this.bytes.subarray(this.#position, end));
    this.#position = end;
    return copy;
  }

  string(): string {
    const end = this.#length();
    const text = decodeUtf8(this.bytes, this.#position, end);
    this.#position = end;
    return text;
  }

  /** Reads a length, and within it whatever `read` reads until tag() or more() say that the end is reached. */
  delimited<T>(read: () => T): T {
    const outer = this.#end;
    this.#end = this.#length();
    const value = read();
    this.#end = outer;
    return value;
  }

  more(): boolean {
    return this.#position < this.#end;
  }

  /** Passes over the value of a field that is not known, or not of the known wire type. */
  skip(tag: number, depth = 0): void {
    const wireType = tag & 7;
    if (wireType === 0) this.#varint();
    else if (wireType === 1) this.#advance(8);
    else if (wireType === 2) this.#position = this.#length();
    else if (wireType === 5) this.#advance(4);
    else if (wireType === 3) this.#skipGroup(tag + 1, depth);
    else throw new Error(`protobuf: unexpected wire type ${wireType}`);
  }

  #skipGroup(endTag: number, depth: number): void {
    if (depth >= GROUP_DEPTH_MAX) throw new Error("protobuf: groups nested too deeply");
    for (let tag = this.tag(); tag !== endTag; tag = this.tag()) {
      if (tag === 0) throw new Error("protobuf: truncated group");
      this.skip(tag, depth + 1);
    }
  }

  #advance(count: number): void {
    if (this.#position + count > this.#end) throw new Error("protobuf: truncated field");
    this.#position += count;
  }

  /** Where the length-delimited value that begins here ends. */
  #length(): number {
    this.#varint();
    const end = this.#position + this.#low;
    if (this.#high !== 0 || end > this.#end) throw new Error("protobuf: truncated field");
    return end;
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#position >= this.#end) throw new Error("protobuf: truncated varint");
      const byte = this.bytes[this.#position++] as number;
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift === 28) high = bits >>> 4;
      else if (shift > 28) high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new Error("protobuf: varint longer than ten bytes");
  }
}
