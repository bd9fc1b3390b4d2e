import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { constants } from "node:os";
import { attempt, call, callOn, Out, sysError } from "./kernel.ts";

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
const O_CLOEXEC = 0o2000000;

const { EAGAIN } = constants.errno;
const AT_FDCWD = -100;
const S_IFIFO = 0o010000;
const F_DUPFD_CLOEXEC = 1030;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETFD = 2;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const LOCK_EX = 2;
const _TCGETS = 0x5401;
const _TCSETS = 0x5402;
const TIOCSWINSZ = 0x5414;
const FIONREAD = 0x541b;
const TIOCSCTTY = 0x540e;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;
const _ONLCR = 4;
/** struct termios, as the kernel has it. */
const _TERMIOS_BYTES = 36;
const _TERMIOS_OFLAG = 4;

export function open(path: string, flags: number, mode: number): number {
  return callOn(path, "openat", AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

export function close(fd: number): void {
  call("close", fd);
}

/** The result, -1 for "not now". */
function whenReady(name: "read" | "write" | "splice", result: number): number {
  if (result === -EAGAIN) return -1;
  if (result < 0) throw sysError(-result, name);
  return result;
}

export function read(fd: number, buffer: ArrayBuffer, offset: number, length: number): number {
  return whenReady("read", attempt("read", fd, new Out(new Uint8Array(buffer, offset, length)), length));
}

export function write(fd: number, buffer: ArrayBuffer, offset: number, length: number): number {
  return whenReady("write", attempt("write", fd, new Uint8Array(buffer, offset, length), length));
}

/** Node's errors have negative numbers, and everything else that a SysError has. */
function asSysError<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { errno, syscall = "", path = "" } = error as NodeJS.ErrnoException;
    throw errno === undefined ? error : sysError(-errno, syscall, path);
  }
}

export function readFile(path: string): ArrayBuffer {
  return asSysError(() => new Uint8Array(readFileSync(path)).buffer);
}

export function writeFile(
  path: string,
  buffer: ArrayBuffer,
  offset: number,
  length: number,
  flags: number,
  mode: number,
): void {
  const fd = open(path, flags | O_WRONLY, mode);
  try {
    for (let at = 0; at < length; ) {
      at += callOn(path, "write", fd, new Uint8Array(buffer, offset + at, length - at), length - at);
    }
  } finally {
    close(fd);
  }
}

export function stat(path: string) {
  try {
    const { mode, size, dev, ino, uid, gid, mtimeMs } = asSysError(() => statSync(path));
    return { mode, size, dev, ino, uid, gid, mtimeMs };
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}

export function mkdir(path: string, mode: number): void {
  callOn(path, "mkdir", path, mode);
}

export function makeFifo(path: string, mode: number): void {
  callOn(path, "mknod", path, S_IFIFO | mode, 0);
}

export function unlink(path: string): void {
  callOn(path, "unlink", path);
}

export function rmdir(path: string): void {
  callOn(path, "rmdir", path);
}

export function chdir(path: string): void {
  callOn(path, "chdir", path);
}

export function rename(from: string, to: string): void {
  callOn(from, "rename", from, to);
}

export function readlink(path: string): string {
  return asSysError(() => readlinkSync(path));
}

export function readdir(path: string): string[] {
  return asSysError(() => readdirSync(path));
}

/** Node would remember where it was before a {@link chdir} that it knows nothing of. */
export function getcwd(): string {
  return readlink("/proc/self/cwd");
}

export function dup2(from: number, to: number): void {
  if (from === to) call("fcntl", to, F_SETFD, 0);
  else call("dup3", from, to, 0);
}

export function duplicate(fd: number): number {
  return call("fcntl", fd, F_DUPFD_CLOEXEC, 3);
}

export function pipe(): [read: number, write: number] {
  const ends = new Int32Array(2);
  call("pipe2", new Out(new Uint8Array(ends.buffer)), O_CLOEXEC);
  return [ends[0] as number, ends[1] as number];
}

export function setNonblocking(fd: number, on: number): void {
  const flags = call("fcntl", fd, F_GETFL, 0);
  call("fcntl", fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

export function fchown(fd: number, uid: number, gid: number): void {
  call("fchown", fd, uid, gid);
}

export function splice(from: number, to: number, length: number): number {
  return whenReady("splice", attempt("splice", from, 0, to, 0, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

export function unread(fd: number): number {
  const bytes = new Int32Array(1);
  callOn("FIONREAD", "ioctl", fd, FIONREAD, new Out(new Uint8Array(bytes.buffer)));
  return bytes[0] ?? 0;
}

export function setWindowSize(fd: number, rows: number, columns: number): void {
  const size = Uint16Array.of(rows, columns, 0, 0);
  callOn("TIOCSWINSZ", "ioctl", fd, TIOCSWINSZ, new Uint8Array(size.buffer));
}

export function fchdir(fd: number): void {
  call("fchdir", fd);
}

export function openTerminal(): [master: number, slave: number] {
  const master = open("/dev/ptmx", O_RDWR | O_NOCTTY, 0);
  try {
    call("ioctl", master, TIOCSPTLCK, new Uint8Array(4));
    return [master, call("ioctl", master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)];
  } catch (error) {
    close(master);
    throw error;
  }
}

export function takeTerminal(fd: number): void {
  call("ioctl", fd, TIOCSCTTY, 0);
}

/** Waits: the shim's locks are held for milliseconds. */
export function lock(fd: number): void {
  call("flock", fd, LOCK_EX);
}
