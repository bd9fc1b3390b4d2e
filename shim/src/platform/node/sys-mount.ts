import { fstatSync, readlinkSync } from "node:fs";
import { call, callOn } from "./kernel.ts";

export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

const AT_FDCWD = -100;
const O_DIRECTORY = 0o200000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const RESOLVE_IN_ROOT = 0x10n;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;

export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  callOn(target, "mount", source, target, type, flags, data === "" ? 0 : data);
}

export function unmount(target: string, flags: number): void {
  callOn(target, "umount2", target, flags);
}

export function resolveBelow(root: string, path: string): string {
  const folder = callOn(root, "openat", AT_FDCWD, root, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  try {
    // struct open_how: flags, mode, resolve.
    const how = new Uint8Array(new BigUint64Array([BigInt(O_PATH | O_CLOEXEC), 0n, RESOLVE_IN_ROOT]).buffer);
    const fd = callOn(path, "openat2", folder, path, how, how.length);
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } finally {
      call("close", fd);
    }
  } finally {
    call("close", folder);
  }
}

export function pivotRoot(to: string, from: string): void {
  callOn(to, "pivot_root", to, from);
}

export function detachMount(path: string, set: number, clear: number, recursive: number, propagation: number): number {
  const deep = recursive ? AT_RECURSIVE : 0;
  const fd = callOn(path, "open_tree", AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
  // struct mount_attr: set, clear, propagation, userns_fd.
  const attributes = new BigUint64Array([BigInt(set), BigInt(clear), BigInt(propagation), 0n]);
  const bytes = new Uint8Array(attributes.buffer);
  try {
    callOn(path, "mount_setattr", fd, "", AT_EMPTY_PATH | deep, bytes, bytes.length);
    return fd;
  } catch (error) {
    call("close", fd);
    throw error;
  }
}

export function attachMount(fd: number, target: string): void {
  callOn(target, "move_mount", fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

/** A child that is acted for has the file descriptor from here. */
export function isFolder(fd: number): boolean {
  return fstatSync(fd).isDirectory();
}

export function chroot(path: string): void {
  callOn(path, "chroot", path);
}
