import * as sys from "sys";

/**
 * A part of a process's output as kuasar.guest.v1.ReadOutputResponse has it on the wire: it is read to where it is sent from,
 * since in an emulated machine each copy is felt. https://protobuf.dev/programming-guides/encoding/
 */
export interface OutputPiece {
  /** The message. */
  readonly encoded: Uint8Array;
  readonly data: Uint8Array;
}

const DATA_TAG = 0x0a;
const END = new Uint8Array([0x10, 1]);
/** The field's tag, and a length of 2^21 - 1 at most. */
const HEADER_BYTES = 4;

/** Nothing will come after this. */
export const LAST_PIECE: OutputPiece = { encoded: END, data: new Uint8Array(0) };

/** What is there now, and at most so many bytes; undefined when there is nothing yet, empty at the end. */
export function readPiece(fd: number, mostBytes: number): OutputPiece | undefined {
  // There may be an end, too.
  const length = Math.max(1, Math.min(sys.unread(fd), mostBytes));
  const buffer = new ArrayBuffer(HEADER_BYTES + length);
  const got = sys.read(fd, buffer, HEADER_BYTES, length);
  return got < 0 ? undefined : pieceIn(buffer, got);
}

/** The rest of a piece. */
export function restOf({ data }: OutputPiece, from: number): OutputPiece {
  const buffer = new ArrayBuffer(HEADER_BYTES + data.length - from);
  new Uint8Array(buffer, HEADER_BYTES).set(data.subarray(from));
  return pieceIn(buffer, data.length - from);
}

/** With the header written just before the data. */
function pieceIn(buffer: ArrayBuffer, length: number): OutputPiece {
  const header = [DATA_TAG];
  for (let rest = length; ; rest >>>= 7) {
    header.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  const encoded = new Uint8Array(buffer, HEADER_BYTES - header.length, header.length + length);
  encoded.set(header);
  return { encoded, data: new Uint8Array(buffer, HEADER_BYTES, length) };
}
