import { join } from "node:path";
import { type Hierarchies, hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { signalMembers } from "@kuasar/framework/cgroup/members";
import { createPodCgroup } from "@kuasar/framework/cgroup/pod-cgroup";
import { removeCgroup } from "@kuasar/framework/cgroup/remove-cgroup";
import { startScope, systemdRuns } from "@kuasar/framework/cgroup/systemd-scope";
import { ErrorCode, invalidArgument, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import { readSpec } from "@kuasar/framework/oci/read-spec";
import type { PausePlan } from "@kuasar/framework/pause/pause-plan";
import { planFromPodConfig } from "@kuasar/framework/pause/plan-from-pod-config";
import { planFromSpec } from "@kuasar/framework/pause/plan-from-spec";
import { pauseSpawnRequest } from "@kuasar/framework/pause/spawn-pause";
import { removeStandIns } from "@kuasar/framework/pod-files/mount-sources";
import { createPodFiles, releasePodFiles } from "@kuasar/framework/pod-files/pod-files";
import { goPlatform } from "@kuasar/framework/sandbox/platform";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Sandboxer, SandboxRequest } from "@kuasar/framework/sandbox/sandboxer";
import type { JsonObject } from "@kuasar/framework/store/json";
import { pauseProgram, type RuncConfig } from "./config.ts";
import { parseRuncOptions } from "./options/parse-options.ts";
import type { RuncOptions } from "./options/runc-options.ts";
import { createRuntimeChoice } from "./runtime-choice.ts";
import { createRuncTasks } from "./task/runc-tasks.ts";

const SIGKILL = 9;
const FILES = "files";

/** Pods as a pause process that holds their namespaces, containers by an OCI runtime. */
export function createRuncSandboxer(config: RuncConfig, log: Logger): Sandboxer {
  return {
    kind: "runc",
    platform: goPlatform(),
    tasks: createRuncTasks(createRuntimeChoice(config)),
    takesSignals: true,

    parseOptions(options) {
      const parsed = parseRuncOptions(options);
      return parsed === undefined ? {} : { options: { ...parsed } };
    },

    async create(sandbox, request) {
      const plan = pausePlan(request);
      if (plan === undefined) {
        return;
      }
      // Found out now rather than when the pod's network has been made.
      pauseProgram(config);
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
      const pid = await sandbox.monitor.spawn(pauseSpawnRequest(sandbox.id, pauseProgram(config), plan, procs));
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
  const options = record.engine.options as RuncOptions | undefined;
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
