import * as sys from "sys";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC } from "../monitor/mount-options.ts";
import { NAMESPACE_FLAGS } from "../platform/child-terms.ts";

/** Where the new root is mounted for a moment. /proc is a folder on every host that we run on. */
const STAGE = "/proc";

/**
 * Leaves the host's files behind: the root of the process becomes an empty read-only tmpfs in a mount namespace of its
 * own. A container that shares the pod's pid namespace can look at /proc/1/root; there is nothing there.
 */
export function enterEmptyRoot(inNewMountNamespace: boolean): void {
  if (!inNewMountNamespace) sys.unshare(NAMESPACE_FLAGS.mount as number);
  sys.mount("", "/", "", MS_PRIVATE | MS_REC, "");
  sys.mount("tmpfs", STAGE, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=1,mode=555");
  sys.chdir(STAGE);
  // With both the same, the old root lies on top of the new one, and is all that is unmounted.
  sys.pivotRoot(".", ".");
  sys.unmount(".", sys.MNT_DETACH);
  sys.chdir("/");
}
