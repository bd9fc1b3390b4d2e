import * as sys from "sys";

const STDOUT = 1;

/** A command's answer, which is short enough to be written at once. */
export interface Output {
  text(text: string): void;
  bytes(bytes: Uint8Array): void;
}

export function openOutput(): Output {
  const write = (buffer: ArrayBuffer, start: number, length: number) => {
    for (let at = 0; at < length; ) at += Math.max(0, sys.write(STDOUT, buffer, start + at, length - at));
  };
  return {
    text: (text) => {
      const buffer = sys.encodeUtf8(text);
      write(buffer, 0, buffer.byteLength);
    },
    bytes: (bytes) => write(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength),
  };
}
