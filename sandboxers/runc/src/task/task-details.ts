import { join } from "node:path";
import type { CgroupPaths } from "@kuasar/framework/cgroup/cgroup-paths";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { JsonObject } from "@kuasar/framework/store/json";
import type { Task } from "@kuasar/framework/task/task";
import type { Container } from "../oci-runtime/oci-runtime.ts";
import { DEFAULT_OPTIONS, type RuncOptions } from "../options/runc-options.ts";

/** What this sandboxer keeps in a task's record. */
export interface TaskDetails {
  readonly options: RuncOptions;
  /** The OCI runtime's name or path. */
  readonly binary: string;
  readonly hooksAtStart: boolean;
  /** Other processes may outlive the init process, which has no pid namespace of its own. */
  readonly killOnExit: boolean;
  /** Deleting it takes no hook and nothing else but the removal of its cgroups. */
  readonly plainDelete: boolean;
  /** Its processes have pipes in place of FIFOs, so that they can be checkpointed. */
  readonly pipes: boolean;
  /** Something was mounted on the bundle's rootfs. */
  readonly mounted: boolean;
  /** The cgroup that the spec asks for, below the root of every hierarchy; "" if it does not say. */
  readonly wantedCgroup: string;
  /** The cgroups that the container was given, unless it has none of its own. */
  readonly cgroup?: CgroupPaths;
  readonly restore?: { readonly image: string; readonly parent: string };
}

const DEFAULT_ROOT = "/run/containerd/runc";

/** What `parseOptions` stored, before the task was made; the sandbox's own options stand in for none. */
export function storedOptions(sandbox: Sandbox, task: Task): RuncOptions {
  const own = (task.record.engine.options ?? sandbox.record.engine.options) as RuncOptions | undefined;
  return { ...DEFAULT_OPTIONS, ...own };
}

export function taskDetails(task: Task): TaskDetails | undefined {
  const { engine } = task.record;
  return typeof engine.binary === "string" ? (engine as unknown as TaskDetails) : undefined;
}

export function asStored(details: TaskDetails): JsonObject {
  return details as unknown as JsonObject;
}

/** The container as its OCI runtime is told of it. */
export function containerOf(sandbox: Sandbox, task: Task, details: TaskDetails): Container {
  const { options, hooksAtStart, plainDelete, cgroup } = details;
  return {
    monitor: sandbox.monitor,
    id: task.id,
    bundle: task.bundle,
    root: join(options.root || DEFAULT_ROOT, sandbox.namespace),
    systemdCgroup: options.systemdCgroup,
    noPivotRoot: options.noPivotRoot,
    noNewKeyring: options.noNewKeyring,
    hooksAtStart,
    // systemd keeps account of its own cgroups.
    ...(plainDelete && !options.systemdCgroup && cgroup && { plainCgroup: cgroup }),
  };
}
