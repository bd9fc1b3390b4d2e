import * as sys from "sys";

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

/** A file descriptor to exec; made anew when the file has been replaced. Before Linux 5.12: the path itself. */
export function readOnlyProgram(path: string): number | string {
  const found = sys.stat(path);
  const stamp = found ? `${found.dev}:${found.ino}` : "";
  const known = views.get(path);
  if (known?.stamp === stamp) return known.fd;
  try {
    const fd = sys.readOnlyView(path);
    if (known) sys.close(known.fd);
    views.set(path, { fd, stamp });
    return fd;
  } catch (error) {
    if ((error as sys.SysError).code === "ENOSYS") return path;
    throw error;
  }
}
