import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

const CHUNK_BYTES = 1 << 20;

/** In hex. */
export function sha256OfFile(path: string): Promise<string> {
  return sha256OfStream(createReadStream(path, { highWaterMark: CHUNK_BYTES }));
}

/** In hex, of all that comes; each piece is taken before the next is read. */
export async function sha256OfStream(
  stream: AsyncIterable<Buffer>,
  take: (chunk: Buffer) => Promise<void> = async () => {},
): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream) {
    hash.update(chunk);
    await take(chunk);
  }
  return hash.digest("hex");
}
