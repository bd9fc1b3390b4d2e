/**
 * UTF-8 as proto3 has it: nothing malformed is let through. Nearly all of it is ASCII, which the host's TextEncoder and
 * TextDecoder do many times faster than a loop in QuickJS; whether it was ASCII shows in the lengths.
 * https://www.rfc-editor.org/rfc/rfc3629
 */

/** What a host's decoder may bring, to do without a view of the bytes; undefined for text that is not all ASCII. */
interface HostDecoder {
  decode(bytes: Uint8Array): string;
  decodeAscii?(bytes: Uint8Array, start: number, end: number): string | undefined;
}

const encoder = new TextEncoder();
const decoder: HostDecoder = new TextDecoder();
/** What a TextDecoder puts in place of what is malformed. */
const REPLACEMENT = "\ufffd";

/** String.fromCharCode takes its units as arguments, and an engine's stack bounds how many. */
const CHUNK = 1024;

/** Throws an Error for anything that is not UTF-8, as proto3 requires of string fields. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (start === end) return "";
  const ascii = decoder.decodeAscii ? decoder.decodeAscii(bytes, start, end) : decodeAscii(bytes, start, end);
  return ascii ?? decodeAny(bytes, start, end);
}

function decodeAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  const text = decoder.decode(bytes.subarray(start, end));
  return text.length === end - start && !text.includes(REPLACEMENT) ? text : undefined;
}

function decodeAny(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let units: number[] = [];
  for (let at = start; at < end; ) {
    const first = bytes[at++] as number;
    if (first < 0x80) {
      units.push(first);
    } else {
      const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
      let point = first & (0x3f >> more);
      for (let i = 0; i < more; i++) {
        // Beyond the string's end lies another field, whose bytes must not be taken for continuations.
        const next = at < end ? (bytes[at++] as number) : 0;
        if (next >> 6 !== 2) throw invalid();
        point = (point << 6) | (next & 0x3f);
      }
      const shortest = more === 1 ? 0x80 : more === 2 ? 0x800 : 0x10000;
      const surrogate = point >= 0xd800 && point <= 0xdfff;
      if (first < 0xc0 || first > 0xf7 || point < shortest || point > 0x10ffff || surrogate) throw invalid();
      if (point < 0x10000) units.push(point);
      else units.push(0xd7c0 + (point >> 10), 0xdc00 | (point & 0x3ff));
    }
    if (units.length >= CHUNK) {
      text += String.fromCharCode.apply(null, units);
      units = [];
    }
  }
  return text + String.fromCharCode.apply(null, units);
}

/** The target must have room for three bytes a unit. Half a surrogate pair becomes U+FFFD. Returns the end. */
export function encodeUtf8(text: string, target: Uint8Array, start: number): number {
  const bytes = encoder.encode(text);
  if (bytes.length !== text.length) return encodeAny(text, target, start);
  target.set(bytes, start);
  return start + bytes.length;
}

function encodeAny(text: string, target: Uint8Array, start: number): number {
  let at = start;
  for (let i = 0; i < text.length; i++) {
    let point = text.codePointAt(i) as number;
    if (point < 0x80) {
      target[at++] = point;
      continue;
    }
    if (point > 0xffff) i++;
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    const more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    target[at++] = ((0xff00 >> (more + 1)) & 0xff) | (point >> (6 * more));
    for (let shift = 6 * (more - 1); shift >= 0; shift -= 6) target[at++] = 0x80 | ((point >> shift) & 0x3f);
  }
  return at;
}

function invalid(): Error {
  return new Error("protobuf: string field is not UTF-8");
}
