import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RuncOptions } from "./runc-options.ts";

/**
 * Leaves in the bundle what the runc shim leaves there: a shim's `delete` finds its OCI runtime by it when no
 * sandboxer is alive. Contract: containerd's `runtime/v2/runc/container.go`, WriteOptions and WriteRuntime.
 */
export function writeBundleFiles(bundle: string, options: RuncOptions, binary: string): void {
  const json = {
    ...(options.noPivotRoot && { no_pivot_root: true }),
    ...(options.noNewKeyring && { no_new_keyring: true }),
    ...(options.shimCgroup && { shim_cgroup: options.shimCgroup }),
    ...(options.ioUid && { io_uid: options.ioUid }),
    ...(options.ioGid && { io_gid: options.ioGid }),
    binary_name: binary,
    ...(options.root && { root: options.root }),
    ...(options.criuPath && { criu_path: options.criuPath }),
    ...(options.systemdCgroup && { systemd_cgroup: true }),
    ...(options.criuImagePath && { criu_image_path: options.criuImagePath }),
    ...(options.criuWorkPath && { criu_work_path: options.criuWorkPath }),
  };
  writeFileSync(join(bundle, "options.json"), JSON.stringify(json), { mode: 0o600 });
  writeFileSync(join(bundle, "runtime"), binary, { mode: 0o600 });
}
