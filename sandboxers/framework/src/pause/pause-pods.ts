import { join } from "node:path";
import { type Hierarchies, hierarchies } from "../cgroup/hierarchies.ts";
import { signalMembers } from "../cgroup/members.ts";
import { createPodCgroup } from "../cgroup/pod-cgroup.ts";
import { removeCgroup } from "../cgroup/remove-cgroup.ts";
import { startScope, systemdRuns } from "../cgroup/systemd-scope.ts";
import { ErrorCode, failedPrecondition, invalidArgument, isCode } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { Logger } from "../log/logger.ts";
import { readSpec } from "../oci/read-spec.ts";
import { removeStandIns } from "../pod-files/mount-sources.ts";
import { createPodFiles, type PodFiles, releasePodFiles } from "../pod-files/pod-files.ts";
import { findProgram } from "../proc/find-program.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Sandboxer, SandboxRequest } from "../sandbox/sandboxer.ts";
import type { JsonObject } from "../store/json.ts";
import type { PausePlan } from "./pause-plan.ts";
import { planFromPodConfig } from "./plan-from-pod-config.ts";
import { planFromSpec } from "./plan-from-spec.ts";
import { pauseSpawnRequest } from "./spawn-pause.ts";

const SIGKILL = 9;
const FILES = "files";

/** The part of a sandboxer whose pods are namespaces of this host, held by a pause process. */
export type PausePods = Pick<Sandboxer, "create" | "start" | "wait" | "stop" | "remove">;

/** `program` is the name or path of a static program that, called with -P, does nothing but reap: catatonit. */
export function createPausePods(program: string, log: Logger): PausePods {
  return {
    async create(sandbox, request) {
      const plan = pausePlan(request);
      if (plan === undefined) {
        return;
      }
      // Found out now rather than when the pod's network has been made.
      pauseProgram(program);
      remember(sandbox, { pause: plan as unknown as JsonObject });
      if (request.pod !== undefined) {
        const files = await createPodFiles(join(sandbox.directory, FILES), request.pod, sandbox.monitor);
        remember(sandbox, { podFiles: { ...files } });
      }
    },

    async start(sandbox) {
      const plan = pausePlanOf(sandbox);
      if (plan === undefined) {
        return 0;
      }
      const all = hierarchies();
      const scope = isScope(sandbox, plan, all);
      const procs = plan.cgroup === "" || scope ? [] : createPodCgroup(all, plan.cgroup, plan.resources);
      const pid = await sandbox.monitor.spawn(pauseSpawnRequest(sandbox.id, pauseProgram(program), plan, procs));
      if (scope) {
        try {
          await startScope(sandbox.monitor, plan.cgroup, pid, plan.resources);
        } catch (error) {
          await endPause(sandbox);
          await sandbox.monitor.release(sandbox.id);
          throw error;
        }
      }
      return pid;
    },

    async wait(sandbox) {
      const { exit } = await sandbox.monitor.wait(sandbox.id);
      return exit;
    },

    // A pause process has nothing to put in order, so there is nothing to be gained by waiting for it.
    stop: endPause,

    async remove(sandbox) {
      const plan = pausePlanOf(sandbox);
      if (plan !== undefined) {
        await sandbox.monitor.release(sandbox.id);
        await releasePodFiles(join(sandbox.directory, FILES), sandbox.monitor);
        removeStandIns((sandbox.record.engine.standIns ?? []) as string[]);
        if (plan.cgroup !== "") {
          await endStrays(sandbox, plan.cgroup);
          const left = await removeCgroup(hierarchies(), { common: plan.cgroup });
          if (left.length > 0) {
            log.warn(
              { sandbox: sandbox.id, left },
              "cgroups of a sandbox cannot be removed: something else is in them",
            );
          }
        }
      }
    },
  };
}

/**
 * Whether the pod's cgroup is systemd's to make: as the runtime's options say, or, with `sandbox_mode = "shim"`, where a
 * pod comes without them, as its cgroup parent does, a slice. On cgroup v1, where systemd has a hierarchy of its own
 * beside the controllers', it is made like any other.
 */
function isScope({ record }: Sandbox, { cgroup }: PausePlan, { mode }: Hierarchies): boolean {
  const options = record.engine.options as { readonly systemdCgroup?: boolean } | undefined;
  return mode === "unified" && cgroup.endsWith(".scope") && (options?.systemdCgroup ?? systemdRuns());
}

async function endPause({ id, monitor }: Sandbox): Promise<void> {
  try {
    await monitor.signal(id, SIGKILL);
    await monitor.wait(id);
  } catch (error) {
    if (!isCode(error, ErrorCode.NOT_FOUND)) {
      throw error;
    }
  }
}

/** A cgroup that is plainly the pod's own holds its pause process, or what should not be there any more. */
async function endStrays({ id }: Sandbox, cgroup: string): Promise<void> {
  if (cgroup.split("/").at(-1)?.includes(id) === true) {
    await signalMembers({ common: cgroup }, SIGKILL);
  }
}

/** Undefined for a container without a pod, which makes its own namespaces. */
function pausePlan(request: SandboxRequest): PausePlan | undefined {
  if (request.lone) {
    return undefined;
  }
  if (request.pod !== undefined) {
    return planFromPodConfig(request.pod, request.id, request.netnsPath);
  }
  const spec = request.bundle === "" ? undefined : readSpec(request.bundle);
  if (spec === undefined) {
    throw invalidArgument(
      `sandbox ${request.id}: expected the pause container's config.json in its bundle ${request.bundle}, ` +
        "or a runtime.v1.PodSandboxConfig as its options; found neither",
    );
  }
  return planFromSpec(spec, request.id);
}

function pausePlanOf({ record }: Sandbox): PausePlan | undefined {
  return record.engine.pause as unknown as PausePlan | undefined;
}

function remember(sandbox: Sandbox, what: JsonObject): void {
  sandbox.update({ engine: { ...sandbox.record.engine, ...what } });
}

/** What createPodFiles made for the sandbox, where containerd has made no such files itself. */
export function podFilesOf({ record }: Sandbox): PodFiles | undefined {
  return record.engine.podFiles as unknown as PodFiles | undefined;
}

/** FAILED_PRECONDITION if it is not there; looked for at every pod, since it may be installed at any time. */
function pauseProgram(name: string): string {
  const path = findProgram(name);
  if (path === undefined) {
    throw failedPrecondition(
      `the pause program ${quote(name)} is not an executable file${name.includes("/") ? "" : " in $PATH"}: ` +
        'install catatonit, or name another with "pause" in the config file',
    );
  }
  return path;
}

/** Folders that containerd has made in place of a pod's files, which go with the sandbox. */
export function rememberStandIns(sandbox: Sandbox, folders: readonly string[]): void {
  const known = (sandbox.record.engine.standIns ?? []) as string[];
  const all = [...new Set([...known, ...folders])];
  if (all.length > known.length) {
    remember(sandbox, { standIns: all });
  }
}
