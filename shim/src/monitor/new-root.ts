import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import type { RootStep } from "../child/new-root.ts";
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
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
  readonly steps: readonly RootStep[];
  /** For the parent, once the child has them. */
  close(): void;
}

/** Opens what shall be seen in the new root. Throws with the mount that cannot be had. */
export function planRoot(mounts: readonly RootMount[]): RootPlan | undefined {
  if (mounts.length === 0) return undefined;
  const steps: RootStep[] = [];
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

function planStep(mount: RootMount): RootStep {
  for (const path of [mount.target, mount.within || "/"]) {
    if (!path.startsWith("/") || path.split("/").includes("..")) {
      throw new StatusError(Code.INVALID_ARGUMENT, `root: expected an absolute path without "..", got ${path}`);
    }
  }
  const { flags, data, propagation } = parseMountOptions(mount.options);
  const { type, source, target, within } = mount;
  const step = { type, source, target, within, flags, data: data.join(","), fd: -1 };
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
