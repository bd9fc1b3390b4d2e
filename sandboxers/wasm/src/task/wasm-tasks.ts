import { readFileSync } from "node:fs";
import { freeze, thaw } from "@kuasar/framework/cgroup/freezer";
import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { cgroupMembers, signalMembers } from "@kuasar/framework/cgroup/members";
import { limitCgroup } from "@kuasar/framework/cgroup/pod-cgroup";
import { readCgroupMetrics } from "@kuasar/framework/cgroup/stats";
import { ErrorCode, failedPrecondition, isCode, notFound, SandboxError } from "@kuasar/framework/error/sandbox-error";
import type { OciResources } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskEngine, TaskRequest } from "@kuasar/framework/task/task-engine";
import { processKey } from "@kuasar/framework/task/task-record";
import { taskNotFound } from "@kuasar/framework/task/task-state";
import type { EngineChoice } from "../engine/engine-choice.ts";
import { createWasm, type WasmContainer } from "./create-wasm.ts";
import { execWasm } from "./exec-wasm.ts";
import { interruptLoading, type ModuleLoader } from "./load-module.ts";
import { removeWasm } from "./remove-wasm.ts";
import { cgroupOf, compilerKey, saveDetails, type WasmDetails, wasmDetails } from "./wasm-details.ts";
import { isDeafTo } from "./wasm-signals.ts";

const SIGKILL = 9;
const KILLED = 128 + SIGKILL;

/** As a TaskEngine, but that whoever has chosen it for a task has read the task's spec already. */
export interface WasmTasks extends Omit<TaskEngine, "create"> {
  create(
    sandbox: Sandbox,
    task: Task,
    container: WasmContainer,
    request: TaskRequest,
    timeoutMs: number,
  ): Promise<number>;
}

/** Tasks as processes of a Wasm engine, which are the pod's monitor's. */
export function createWasmTasks(choice: EngineChoice, loader: ModuleLoader): WasmTasks {
  function detailsOf(task: Task): WasmDetails {
    const details = wasmDetails(task);
    if (details === undefined) {
      throw taskNotFound(task.id);
    }
    return details;
  }

  function ownCgroup(task: Task, what: string) {
    const cgroup = cgroupOf(detailsOf(task));
    if (cgroup === undefined) {
      throw failedPrecondition(`task ${task.id} cannot be ${what}: it has no cgroup of its own`);
    }
    return cgroup;
  }

  async function signalOne(sandbox: Sandbox, task: Task, execId: string, signal: number): Promise<void> {
    const pid = execId === "" ? task.record.pid : task.exec(execId).pid;
    const details = detailsOf(task);
    const deaf = isDeafTo(pid, signal);
    if (deaf) {
      saveDetails(task, { ...details, endedBy: { ...details.endedBy, [execId]: signal } });
    }
    try {
      await sandbox.monitor.signal(processKey(task.id, execId), deaf ? SIGKILL : signal);
    } catch (error) {
      throw isCode(error, ErrorCode.NOT_FOUND) ? notFound("process already finished") : error;
    }
    const cgroup = cgroupOf(details);
    if (cgroup !== undefined && (deaf || signal === SIGKILL) && task.record.state === "paused") {
      // A frozen process does not even die, on cgroup v1.
      thaw(cgroup);
    }
  }

  return {
    create: (sandbox, task, container, request, timeoutMs) =>
      createWasm(choice, loader, sandbox, task, container, request, timeoutMs),

    async start(sandbox, task) {
      await sandbox.monitor.proceed(processKey(task.id));
      return task.record.pid;
    },

    // Until its exec it is a copy of the monitor.
    async hasStarted(_sandbox, task) {
      const { engine } = detailsOf(task);
      try {
        return readFileSync(`/proc/${task.record.pid}/cmdline`, "utf8").split("\0")[0]?.endsWith(engine) ?? false;
      } catch {
        return true;
      }
    },

    delete: removeWasm,
    discard: removeWasm,

    async interrupt({ monitor }, task) {
      interruptLoading(loader, task);
      await monitor.cancel(task.id);
      try {
        // Nothing else takes long.
        await monitor.signal(compilerKey(task.id), SIGKILL);
      } catch (error) {
        if (!isCode(error, ErrorCode.NOT_FOUND)) {
          throw error;
        }
      }
    },

    startExec: (sandbox, task, exec, timeoutMs) =>
      execWasm(choice, loader, sandbox, task, detailsOf(task), exec, timeoutMs),

    deleteExec: (sandbox, task, execId) => sandbox.monitor.release(processKey(task.id, execId)),

    async wait(sandbox, task, execId) {
      const { exit } = await sandbox.monitor.wait(processKey(task.id, execId));
      const endedBy = wasmDetails(task)?.endedBy?.[execId];
      return endedBy !== undefined && exit.status === KILLED ? { ...exit, status: 128 + endedBy } : exit;
    },

    async initExited(_sandbox, task) {
      const cgroup = cgroupOf(detailsOf(task));
      if (cgroup !== undefined) {
        await signalMembers(cgroup, SIGKILL);
      }
    },

    async signal(sandbox, task, execId, signal, all) {
      const cgroup = cgroupOf(detailsOf(task));
      if (!all || cgroup === undefined) {
        await signalOne(sandbox, task, execId, signal);
      } else if (isDeafTo(task.record.pid, signal)) {
        await signalOne(sandbox, task, "", signal);
      } else {
        await signalMembers(cgroup, signal);
      }
    },

    pause: (_sandbox, task) => freeze(ownCgroup(task, "paused")),

    async resume(_sandbox, task) {
      thaw(ownCgroup(task, "resumed"));
    },

    async update(_sandbox, task, resources) {
      limitCgroup(hierarchies(), ownCgroup(task, "updated").common, resources as OciResources);
    },

    async checkpoint() {
      throw new SandboxError(ErrorCode.UNIMPLEMENTED, "no Wasm engine can be checkpointed");
    },

    resize: (sandbox, task, execId, width, height) =>
      sandbox.monitor.resize(processKey(task.id, execId), width, height),

    closeStdin: (sandbox, task, execId) => sandbox.monitor.closeStdin(processKey(task.id, execId)),

    pids(_sandbox, task) {
      const details = wasmDetails(task);
      const cgroup = details && cgroupOf(details);
      if (cgroup !== undefined) {
        return cgroupMembers(cgroup);
      }
      const { pid, state, execs } = task.record;
      const running = Object.values(execs).filter((exec) => exec.state === "running");
      return [...(state === "stopped" || pid === 0 ? [] : [pid]), ...running.map((exec) => exec.pid)];
    },

    async stats(_sandbox, task) {
      const cgroup = cgroupOf(detailsOf(task));
      if (cgroup === undefined) {
        throw notFound(`cgroup does not exist: task ${task.id} has none of its own`);
      }
      return await readCgroupMetrics(cgroup);
    },
  };
}
