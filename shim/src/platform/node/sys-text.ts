import { randomBytes as random } from "node:crypto";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function encodeUtf8(text: string): ArrayBuffer {
  const bytes = new Uint8Array(Buffer.byteLength(text));
  Buffer.from(bytes.buffer).write(text);
  return bytes.buffer;
}

export function decodeUtf8(buffer: ArrayBuffer, offset: number, length: number): string {
  return decoder.decode(new Uint8Array(buffer, offset, length));
}

export function decodeAscii(buffer: ArrayBuffer, offset: number, length: number): string | undefined {
  const bytes = Buffer.from(buffer, offset, length);
  return bytes.every((byte) => byte < 0x80) ? bytes.toString("latin1") : undefined;
}

export function randomBytes(count: number): ArrayBuffer {
  return new Uint8Array(random(count)).buffer;
}
