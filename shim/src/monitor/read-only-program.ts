import * as sys from "sys";

/**
 * Programs that whoever runs them cannot change.
 *
 * A process that a container can reach leads by /proc/PID/exe to its own program, and writing there would change the
 * host's file (CVE-2019-5736). Run through a read-only mount of its own it cannot be written to by that way. runc makes
 * such a view of itself at every start, and then starts once more from there; told that it has one, it saves both.
 */

interface View {
  /** A fd, or the path where there can be no view. */
  readonly program: number | string;
  readonly stamp: string;
}

const views = new Map<string, View>();

/** runc believes this only where its program's mount is read-only indeed. */
export const RUNC_HAS_READ_ONLY_VIEW = "_LIBCONTAINER_CLONED_BINARY=1";

/**
 * A file descriptor to exec; made anew when the file has been replaced. The path itself before Linux 5.12, and of a script,
 * whose interpreter could not open the descriptor: it is closed by then.
 */
export function readOnlyProgram(path: string): number | string {
  const found = sys.stat(path);
  const stamp = found ? `${found.dev}:${found.ino}` : "";
  const known = views.get(path);
  if (known?.stamp === stamp) return known.program;
  const program = isScript(path) ? path : viewOf(path);
  if (typeof known?.program === "number") sys.close(known.program);
  views.set(path, { program, stamp });
  return program;
}

function viewOf(path: string): number | string {
  try {
    return sys.readOnlyView(path);
  } catch (error) {
    if ((error as sys.SysError).code === "ENOSYS") return path;
    throw error;
  }
}

function isScript(path: string): boolean {
  const start = new ArrayBuffer(2);
  const fd = sys.open(path, sys.O_RDONLY, 0);
  try {
    return sys.read(fd, start, 0, 2) === 2 && sys.decodeUtf8(start, 0, 2) === "#!";
  } finally {
    sys.close(fd);
  }
}
