import { makeFolders } from "@kuasar/shim/platform/files";
import { namesIn, removePath } from "guest";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";

/** Whole files in the guest. */

interface File {
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
}

const MOST_BYTES = 256 * 1024;

export function requireAbsolute(path: string): string {
  if (!path.startsWith("/") || path.split("/").includes("..")) {
    throw new StatusError(Code.INVALID_ARGUMENT, `path: expected an absolute path without "..", got ${path}`);
  }
  return path;
}

export function writeFiles(files: readonly File[]): void {
  for (const { path, content, mode } of files) {
    makeFolders(requireAbsolute(path).slice(0, path.lastIndexOf("/")), 0o755);
    // A FIFO that nobody reads would hold up all of the machine: ENXIO.
    const flags = sys.O_WRONLY | sys.O_NONBLOCK | sys.O_CREAT | sys.O_TRUNC | sys.O_NOFOLLOW;
    const fd = sys.open(path, flags, mode);
    try {
      for (let at = 0; at < content.length; ) {
        at += sys.write(fd, content.buffer as ArrayBuffer, content.byteOffset + at, content.length - at);
      }
    } finally {
      sys.close(fd);
    }
  }
}

/** Those that there are. */
export function readFiles(paths: readonly string[]): File[] {
  const files: File[] = [];
  for (const path of paths) {
    const content = readFile(requireAbsolute(path));
    if (content) files.push({ path, content, mode: 0 });
  }
  return files;
}

/** The kernel's files say that they are empty, and an opened cgroup's may have gone when it is read. */
function readFile(path: string): Uint8Array | undefined {
  let fd: number;
  try {
    fd = sys.open(path, sys.O_RDONLY | sys.O_NONBLOCK | sys.O_NOFOLLOW, 0);
  } catch {
    // Whatever the reason, there is nothing to be read.
    return undefined;
  }
  try {
    const buffer = new ArrayBuffer(MOST_BYTES);
    let length = 0;
    for (let got = 1; got > 0 && length < MOST_BYTES; length += Math.max(0, got)) {
      got = sys.read(fd, buffer, length, MOST_BYTES - length);
    }
    return new Uint8Array(buffer, 0, length).slice();
  } catch (error) {
    if (["ENODEV", "EOPNOTSUPP", "EISDIR"].includes((error as sys.SysError).code)) return undefined;
    throw error;
  } finally {
    sys.close(fd);
  }
}

export function removeAll(paths: readonly string[]): void {
  for (const path of paths) removeTree(requireAbsolute(path));
}

/** A link is removed, not followed, and what is mounted stays: its folder is busy. */
function removeTree(path: string): void {
  try {
    removePath(path);
  } catch (error) {
    const { code } = error as sys.SysError;
    if (code === "ENOENT") return;
    if (code !== "ENOTEMPTY") throw error;
    for (const name of namesIn(path) ?? []) removeTree(`${path}/${name}`);
    removePath(path);
  }
}
