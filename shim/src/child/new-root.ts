import * as sys from "sys";
import { MS_BIND, MS_NODEV, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT } from "../monitor/mount-options.ts";
import { NAMESPACE_FLAGS } from "../platform/child-terms.ts";

/** One mount of a new root. */
export interface RootStep {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  /** What is the root for links on the way to the target; "" for the new one. */
  readonly within: string;
  readonly flags: number;
  readonly data: string;
  /** A detached mount that is to be attached; -1 for another file system. */
  readonly fd: number;
}

/** Where the new root is mounted for a moment. /proc is a folder on every host that we run on. */
const STAGE = "/proc";

/** Leaves the host's files behind for the root that was planned (monitor/new-root.ts). */
export function enterRoot(steps: readonly RootStep[], inNewMountNamespace: boolean): void {
  if (!inNewMountNamespace) sys.unshare(NAMESPACE_FLAGS.mount as number);
  sys.mount("", "/", "", MS_PRIVATE | MS_REC, "");
  const host = sys.open("/", sys.O_RDONLY | sys.O_DIRECTORY, 0);
  sys.mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=1k,mode=755");
  let within: string | undefined;
  /** Folders in it that are there. */
  const there = new Set<string>();
  for (const step of steps) {
    try {
      // Symbolic links lead nowhere but into what is the root while they are followed.
      if (within !== step.within) {
        sys.fchdir(host);
        sys.chroot(".");
        sys.chroot(`${STAGE}${step.within}`);
        sys.chdir("/");
        within = step.within;
        there.clear();
      }
      attach(step, there);
    } catch (error) {
      throw new Error(`mount ${step.within}${step.target}: ${(error as Error).message}`);
    }
  }
  sys.fchdir(host);
  sys.chroot(".");
  sys.close(host);
  sys.mount("", STAGE, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, "");
  sys.chdir(STAGE);
  // With both the same, the old root lies on top of the new one, and is all that is unmounted.
  sys.pivotRoot(".", ".");
  sys.unmount(".", sys.MNT_DETACH);
  sys.chdir("/");
}

function attach({ type, source, target, flags, data, fd }: RootStep, there: Set<string>): void {
  if (flags & MS_REMOUNT) {
    sys.mount("", target, "", flags | MS_BIND, "");
    return;
  }
  const isFolder = fd < 0 || sys.isFolder(fd);
  makeTarget(target, isFolder, there);
  if (fd >= 0) sys.attachMount(fd, target);
  else sys.mount(source, target, type, flags, data);
  // What was there below a folder is not seen any more.
  if (isFolder) there.clear();
}

function makeTarget(target: string, isFolder: boolean, there: Set<string>): void {
  const names = target.split("/").filter(Boolean);
  const last = isFolder ? undefined : names.pop();
  let path = "";
  for (const name of names) {
    path += `/${name}`;
    if (!there.has(path)) ifMissing(() => sys.mkdir(path, 0o755));
    there.add(path);
  }
  if (last !== undefined) {
    ifMissing(() => sys.close(sys.open(`${path}/${last}`, sys.O_WRONLY | sys.O_CREAT | sys.O_EXCL, 0o644)));
  }
}

function ifMissing(make: () => void): void {
  try {
    make();
  } catch (error) {
    const { code } = error as sys.SysError;
    // Of a read-only file system it is only said that nothing can be made; whether it is there, the mount will tell.
    if (code !== "EEXIST" && code !== "EROFS") throw error;
  }
}
