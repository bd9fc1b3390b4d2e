import { closeSync, constants, openSync } from "node:fs";
import { connect, type Socket } from "node:net";

/** open(2): the file itself, whatever it is. */
const O_PATH = 0o10000000;

/**
 * Connects to a socket in a folder that a hypervisor may write to. A symbolic link in its place is not followed: it could
 * lead to the socket of another machine, or of anybody on this host. Throws if there is nothing.
 */
export function dialUnlinked(path: string): Socket {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    // The connection is made, or refused, before this returns; only then it is told.
    return connect(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}
