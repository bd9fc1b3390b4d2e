import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, read, readlinkSync, readSync, realpathSync } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { errno, failedPrecondition, invalidArgument, notFound } from "@kuasar/framework/error/sandbox-error";

/** A module of a container, open for reading: what is found out of it is true of what is read. */
export interface ModuleFile {
  /** Leads to the open file itself, whatever becomes of its name; until it is closed. */
  readonly path: string;
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** SHA-256, in hex. */
  digest(): Promise<string>;
  /** Writes a copy, and answers with the digest of what it wrote. */
  copyTo(path: string): Promise<string>;
  close(): void;
}

const readFile = promisify(read);
const CHUNK_BYTES = 1 << 20;
const DIGESTS_KEPT = 1024;

/** Digests by what a file is known by. A file that is changed gets another ctime, which nobody can set. */
const digests = new Map<string, string>();

/**
 * `layers` names what the container's files come from, for a digest to be remembered; "" for files that are not only
 * the image's. `name` is for error texts: NOT_FOUND, or INVALID_ARGUMENT for what is no file. A folder on the way may
 * have become a link since it was looked at, by whoever else can write to a volume: FAILED_PRECONDITION for a file that
 * is not below `base`.
 */
export function openModule(path: string, name: string, layers: string, base = path): ModuleFile {
  let file: number;
  try {
    // What is small is done at once: to hand each step to another thread takes longer than all of them.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw errno(error) === "ENOENT" ? notFound(`module ${name}: no such file in the container`) : error;
  }
  const stat = fstatSync(file, { bigint: true });
  if (!stat.isFile()) {
    closeSync(file);
    throw invalidArgument(`module ${name} is not a file`);
  }
  if (!isWithin(realpathSync(base), readlinkSync(`/proc/self/fd/${file}`))) {
    closeSync(file);
    throw failedPrecondition(`module ${name} was moved while it was opened`);
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
    path: `/proc/${process.pid}/fd/${file}`,
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

    close: () => closeSync(file),
  };
}

function isWithin(base: string, path: string): boolean {
  return path === base || path.startsWith(base === "/" ? base : `${base}/`);
}
