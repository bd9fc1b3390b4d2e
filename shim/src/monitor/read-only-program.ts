import * as sys from "sys";
import { MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MS_PRIVATE } from "./mount-options.ts";

/**
 * Programs that whoever runs them cannot change.
 *
 * A process that a container can reach leads by /proc/PID/exe to its own program, and writing there would change the
 * host's file (CVE-2019-5736). Run through a read-only mount of its own it cannot be written to by that way. runc makes
 * such a view of itself at every start, and then starts once more from there; told that it has one, it saves both.
 */

interface View {
  readonly fd: number;
  readonly stamp: string;
}

const views = new Map<string, View>();

/** runc believes this only where its program's mount is read-only indeed. */
export const RUNC_HAS_READ_ONLY_VIEW = "_LIBCONTAINER_CLONED_BINARY=1";

const SHEBANG = "#!";
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/**
 * What to exec: a file descriptor, made anew when the file has been replaced. The path itself for a script, such as a
 * wrapper around runc: its interpreter opens it once more, by a name, which a descriptor that closes at the exec has not.
 */
export function readOnlyProgram(path: string): number | string {
  const found = sys.stat(path);
  // What is no program the exec refuses; to open a FIFO here would wait for somebody who writes to it.
  if (found && (found.mode & S_IFMT) !== S_IFREG) return path;
  const stamp = found ? `${found.dev}:${found.ino}` : "";
  const known = views.get(path);
  if (known?.stamp === stamp) return known.fd;
  const plain = sys.open(path, sys.O_RDONLY, 0);
  const fd = viewUnlessScript(plain, path);
  if (fd === undefined) return path;
  if (known) sys.close(known.fd);
  views.set(path, { fd, stamp });
  return fd;
}

/** Before Linux 5.12 there is no such view: the file itself then, opened while its path still leads to it. */
function viewUnlessScript(plain: number, path: string): number | undefined {
  let fd: number | undefined;
  try {
    if (!isScript(plain)) fd = sys.detachMount(path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, MS_PRIVATE);
  } catch (error) {
    if ((error as sys.SysError).code === "ENOSYS") fd = plain;
    else throw error;
  } finally {
    if (fd !== plain) sys.close(plain);
  }
  return fd;
}

function isScript(fd: number): boolean {
  const start = new ArrayBuffer(SHEBANG.length);
  const length = sys.read(fd, start, 0, SHEBANG.length);
  return length === SHEBANG.length && sys.decodeUtf8(start, 0, length) === SHEBANG;
}
