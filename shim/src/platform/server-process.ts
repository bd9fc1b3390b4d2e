import * as sys from "sys";

/**
 * Forks; the child calls `prepare` and becomes the program's server (sys.becomeServer). Answers with its pid.
 *
 * @param _kept the file descriptors that the server needs. Here it has them all; one that must be executed would not.
 */
export function startServer(inheritance: string, _kept: readonly number[], prepare: () => void): number {
  const pid = sys.fork(0, -1);
  if (pid !== 0) return pid;
  try {
    prepare();
    sys.becomeServer(inheritance);
  } catch {
    // The parent has answered by now, and the log may not be open: containerd notices that nobody serves.
    sys.exit(1);
  }
}
