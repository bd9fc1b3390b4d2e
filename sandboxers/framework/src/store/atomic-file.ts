import { closeSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";

let serial = 0;

/**
 * Replaces a file in one step: readers see the old content or the new one, never a part of it. No fsync: state lives
 * on a tmpfs, which no crash of a process can tear. Throws the file system's error, leaving the old content.
 */
export function writeFileAtomically(path: string, content: string, mode = 0o600): void {
  serial += 1;
  const draft = `${path}.${process.pid}.${serial}.tmp`;
  const fd = openSync(draft, "wx", mode);
  try {
    try {
      writeWhole(fd, Buffer.from(content));
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch (error) {
    unlinkSync(draft);
    throw error;
  }
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length; ) {
    offset += writeSync(fd, bytes, offset);
  }
}
