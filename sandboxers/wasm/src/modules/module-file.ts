import { createHash } from "node:crypto";
import { close, constants, fstatSync, openSync, read, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { errno, invalidArgument, notFound } from "@kuasar/framework/error/sandbox-error";

/** A module of a container, open for reading: what is found out of it is true of what is read. */
export interface ModuleFile {
  readonly path: string;
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** SHA-256, in hex. */
  digest(): Promise<string>;
  /** Writes a copy, and answers with the digest of what it wrote. */
  copyTo(path: string): Promise<string>;
  close(): Promise<void>;
}

const readFile = promisify(read);
const closeFile = promisify(close);
const CHUNK_BYTES = 1 << 20;
const DIGESTS_KEPT = 1024;

/** Digests by what a file is known by. A file that is changed gets another ctime, which nobody can set. */
const digests = new Map<string, string>();

/**
 * `layers` names what the container's files come from, for a digest to be remembered; "" for files that are not only
 * the image's. `name` is for error texts: NOT_FOUND, or INVALID_ARGUMENT for what is no file.
 */
export async function openModule(path: string, name: string, layers: string): Promise<ModuleFile> {
  let file: number;
  try {
    // What is small is done at once: to hand each step to another thread takes longer than all of them.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw errno(error) === "ENOENT" ? notFound(`module ${name}: no such file in the container`) : error;
  }
  const stat = fstatSync(file, { bigint: true });
  if (!stat.isFile()) {
    await closeFile(file);
    throw invalidArgument(`module ${name} is not a file`);
  }
  const size = Number(stat.size);
  const stamp = layers && [layers, path.length, name, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(" ");

  async function readThrough(take: (chunk: Uint8Array) => Promise<void>): Promise<string> {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(size, 1)));
    for (let at = 0; ; ) {
      const { bytesRead } = await readFile(file, buffer, 0, buffer.length, at);
      if (bytesRead === 0) {
        return hash.digest("hex");
      }
      const chunk = buffer.subarray(0, bytesRead);
      hash.update(chunk);
      await take(chunk);
      at += bytesRead;
    }
  }

  return {
    path,
    size,

    async read(offset, length) {
      const buffer = Buffer.alloc(Math.min(length, size));
      return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, offset));
    },

    async digest() {
      const known = stamp && digests.get(stamp);
      if (known) {
        return known;
      }
      const digest = await readThrough(async () => {});
      if (stamp) {
        digests.set(stamp, digest);
        for (const oldest of digests.keys()) {
          if (digests.size <= DIGESTS_KEPT) {
            break;
          }
          digests.delete(oldest);
        }
      }
      return digest;
    },

    async copyTo(to) {
      const copy = await open(to, "wx", 0o644);
      try {
        return await readThrough(async (chunk) => void (await copy.writeFile(chunk)));
      } finally {
        await copy.close();
      }
    },

    close: () => closeFile(file),
  };
}
