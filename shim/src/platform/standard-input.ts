import * as sys from "sys";

const LIMIT = 4 * 1024 * 1024;
const CHUNK = 16 * 1024;

/** Everything on standard input, to its end. A terminal, which would wait for somebody to type, counts as empty. */
export function readAllInput(): Uint8Array {
  const S_IFMT = 0o170000;
  const S_IFCHR = 0o020000;
  if (((sys.stat("/proc/self/fd/0")?.mode ?? S_IFCHR) & S_IFMT) === S_IFCHR) return new Uint8Array(0);
  const chunks: ArrayBuffer[] = [];
  let size = 0;
  for (;;) {
    const buffer = new ArrayBuffer(CHUNK);
    const got = sys.read(0, buffer, 0, CHUNK);
    if (got <= 0) break;
    size += got;
    if (size > LIMIT) throw new Error(`standard input: expected at most ${LIMIT} bytes`);
    chunks.push(buffer.slice(0, got));
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(new Uint8Array(chunk), at);
    at += chunk.byteLength;
  }
  return all;
}
