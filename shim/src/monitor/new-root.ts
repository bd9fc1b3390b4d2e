import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { NAMESPACE_FLAGS } from "../platform/forked-child.ts";
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  parseMountOptions,
} from "./mount-options.ts";

/** kuasar.monitor.v1.RootMount. */
export interface RootMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
  readonly within: string;
}

/** What a process's new root is made of, as far as that can be done before there is a process. */
export interface RootPlan {
  readonly steps: readonly Step[];
  /** For the parent, once the child has them. */
  close(): void;
}

interface Step {
  readonly mount: RootMount;
  readonly flags: number;
  readonly data: string;
  /** A detached mount that is to be attached; -1 for another file system. */
  readonly fd: number;
}

/** Where the new root is mounted for a moment. /proc is a folder on every host that we run on. */
const STAGE = "/proc";

/** Opens what shall be seen in the new root. Throws with the mount that cannot be had. */
export function planRoot(mounts: readonly RootMount[]): RootPlan | undefined {
  if (mounts.length === 0) return undefined;
  const steps: Step[] = [];
  const close = () => {
    for (const { fd } of steps) if (fd >= 0) sys.close(fd);
  };
  try {
    for (const mount of mounts) steps.push(planStep(mount));
  } catch (error) {
    close();
    throw error;
  }
  return { steps, close };
}

function planStep(mount: RootMount): Step {
  for (const path of [mount.target, mount.within || "/"]) {
    if (!path.startsWith("/") || path.split("/").includes("..")) {
      throw new StatusError(Code.INVALID_ARGUMENT, `root: expected an absolute path without "..", got ${path}`);
    }
  }
  const { flags, data, propagation } = parseMountOptions(mount.options);
  const step = { mount, flags, data: data.join(","), fd: -1 };
  if (mount.type !== "bind" || flags & MS_REMOUNT) return step;
  try {
    // What /run is, and the state that a sandboxer keeps there, on most hosts.
    const clear = mount.options.includes("exec") ? MOUNT_ATTR_NOEXEC : 0;
    // With all that is mounted below it; a file has nothing there.
    const fd = sys.detachMount(mount.source, attributesOf(flags), clear, 1, propagation || MS_PRIVATE);
    return { ...step, fd };
  } catch (error) {
    throw new StatusError(Code.FAILED_PRECONDITION, `mount ${mount.target}: ${(error as Error).message}`);
  }
}

function attributesOf(flags: number): number {
  return (
    (flags & MS_RDONLY ? MOUNT_ATTR_RDONLY : 0) |
    (flags & MS_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
    (flags & MS_NODEV ? MOUNT_ATTR_NODEV : 0) |
    (flags & MS_NOEXEC ? MOUNT_ATTR_NOEXEC : 0)
  );
}

/** In the child: leaves the host's files behind for the root that was planned. */
export function enterRoot({ steps }: RootPlan, inNewMountNamespace: boolean): void {
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
      if (within !== step.mount.within) {
        sys.fchdir(host);
        sys.chroot(".");
        sys.chroot(`${STAGE}${step.mount.within}`);
        sys.chdir("/");
        within = step.mount.within;
        there.clear();
      }
      attach(step, there);
    } catch (error) {
      throw new Error(`mount ${step.mount.within}${step.mount.target}: ${(error as Error).message}`);
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

function attach({ mount, flags, data, fd }: Step, there: Set<string>): void {
  const { target } = mount;
  if (flags & MS_REMOUNT) {
    sys.mount("", target, "", flags | MS_BIND, "");
    return;
  }
  const isFolder = fd < 0 || sys.isFolder(fd);
  makeTarget(target, isFolder, there);
  if (fd >= 0) sys.attachMount(fd, target);
  else sys.mount(mount.source, target, mount.type, flags, data);
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
