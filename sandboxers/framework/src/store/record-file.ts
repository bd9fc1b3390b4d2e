import { closeSync, fstatSync, openSync, readFileSync, writeSync } from "node:fs";
import { writeFileAtomically } from "./atomic-file.ts";

/**
 * A record that changes often, as a file of lines: each version is appended, and the last whole line counts. One
 * write, that no crash can tear: what is not a whole line was never written. To replace the file at each change
 * instead would cost a flush to the disk, wherever the folder is no tmpfs (ext4 flushes what a rename replaces).
 */

/** Beyond this the file is begun anew, with one line. */
const COMPACT_BYTES = 64 * 1024;

/** Throws the file system's error; the version before it then still counts. */
export function appendRecord(path: string, json: string): void {
  // Begun with a line's end, too: the rest of one that a crash has cut off must not swallow this one.
  const line = Buffer.from(`\n${json}\n`);
  const fd = openSync(path, "a", 0o600);
  try {
    if (fstatSync(fd).size + line.length > COMPACT_BYTES) {
      writeFileAtomically(path, line.toString());
      return;
    }
    if (writeSync(fd, line) < line.length) {
      throw new Error(`${path}: the disk took a part of a record only`);
    }
  } finally {
    closeSync(fd);
  }
}

/** The version that counts; undefined if the only one was never whole. */
export function readLastRecord(path: string): string | undefined {
  const text = readFileSync(path, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1).trimEnd();
  return whole === "" ? undefined : whole.slice(whole.lastIndexOf("\n") + 1);
}
