import { unknown } from "@kuasar/framework/error/sandbox-error";
import type { Mount } from "@kuasar/framework/monitor/monitor";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import { podFilesOf, rememberStandIns } from "@kuasar/framework/pause/pause-pods";
import { repairMountSources, standInsOf } from "@kuasar/framework/pod-files/mount-sources";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { TaskIo } from "@kuasar/framework/task/task-record";

/** A container's spec with what containerd says of it elsewhere: in its root's mounts, and in its pod's files. */
export function containerSpec(sandbox: Sandbox, spec: OciSpec, rootfs: readonly Mount[]): OciSpec {
  return withPodFiles(sandbox, withRootAccess(spec, rootfs));
}

/** With `sandbox_mode = "shim"` containerd makes empty folders in place of the pod's own files. */
function withPodFiles(sandbox: Sandbox, spec: OciSpec): OciSpec {
  const files = podFilesOf(sandbox);
  const mounts = files && repairMountSources(spec, files);
  if (!mounts) return spec;
  rememberStandIns(sandbox, standInsOf(spec.mounts ?? [], mounts, sandbox.id));
  return { ...spec, mounts };
}

/** An OCI runtime makes a terminal where the spec has one, and waits for somebody to take it. UNKNOWN, as runc's refusal. */
export function requireSameTerminal({ process }: OciSpec, { terminal }: TaskIo): void {
  if ((process?.terminal ?? false) === terminal) return;
  const [has, lacks] = terminal ? ["request", "spec"] : ["spec", "request"];
  throw unknown(`OCI runtime create failed: the ${has} has a terminal, the ${lacks} has none`);
}

/** The share's file system is one for all, whose flags say nothing: a root that is mounted read-only is made so in the guest. */
function withRootAccess(spec: OciSpec, rootfs: readonly Mount[]): OciSpec {
  // Those with a target are below the root.
  const root = rootfs.filter(({ target }) => target === "" || target === "/").at(-1);
  const readonly = root?.options.includes("ro") === true || spec.root?.readonly === true;
  return { ...spec, root: { ...spec.root, readonly } };
}
