import { createHash } from "node:crypto";

/** Its length divides no page: one that is lost, doubled or moved changes what comes after it. */
const line = `${Array.from({ length: 1000 }, (_, i) => i + 1).join(" ")}\n`;

/**
 * A shell's command that writes so many bytes, every one of them known. Lines are long and nothing is looked at a byte at a
 * time, since the processor may be emulated: then its output would be faster on its way than it is made.
 */
export const streamOf = (bytes: number) =>
  `yes "$(seq -s ' ' 1000)" | dd bs=64k count=${bytes} iflag=fullblock,count_bytes 2>/dev/null`;

/** What such a stream is, by the name of the digest. */
export function digestOfStream(algorithm: string, bytes: number): string {
  const hash = createHash(algorithm);
  const block = Buffer.from(line.repeat(250));
  for (let left = bytes; left > 0; left -= block.length)
    hash.update(left < block.length ? block.subarray(0, left) : block);
  return hash.digest("hex");
}
