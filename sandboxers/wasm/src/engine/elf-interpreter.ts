/** Reads up to so many bytes of a file. */
export type ReadAt = (offset: number, length: number) => Promise<Buffer>;

const HEADER_BYTES = 64;
const PT_INTERP = 3;
const PATH_MAX = 4096;

/**
 * The dynamic loader that a 64-bit ELF program names (System V ABI, "Program Header"), undefined for a static one.
 * Throws an Error if it is no such program.
 */
export async function elfInterpreter(readAt: ReadAt): Promise<string | undefined> {
  const header = await readAt(0, HEADER_BYTES);
  if (header.length < HEADER_BYTES || header.toString("latin1", 0, 4) !== "\x7fELF" || header[4] !== 2) {
    throw new Error("it is not a 64-bit ELF program");
  }
  if (header[5] !== 1) {
    throw new Error("it is not a little-endian program");
  }
  const table = Number(header.readBigUInt64LE(32));
  const size = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  const segments = await readAt(table, size * count);
  for (let at = 0; at + 40 <= segments.length; at += size) {
    if (segments.readUInt32LE(at) === PT_INTERP) {
      const offset = Number(segments.readBigUInt64LE(at + 8));
      const length = Number(segments.readBigUInt64LE(at + 32));
      const path = await readAt(offset, Math.min(length, PATH_MAX));
      return path.toString("utf8").replace(/\0.*$/s, "");
    }
  }
  return undefined;
}
