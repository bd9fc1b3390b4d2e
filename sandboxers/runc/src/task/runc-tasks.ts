import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { thaw } from "@kuasar/framework/cgroup/freezer";
import { cgroupMembers, signalMembers } from "@kuasar/framework/cgroup/members";
import { readCgroupMetrics } from "@kuasar/framework/cgroup/stats";
import { ErrorCode, isCode, notFound } from "@kuasar/framework/error/sandbox-error";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskEngine } from "@kuasar/framework/task/task-engine";
import { processKey } from "@kuasar/framework/task/task-record";
import { taskNotFound } from "@kuasar/framework/task/task-state";
import type { Container, OciRuntime } from "../oci-runtime/oci-runtime.ts";
import type { RuntimeChoice } from "../runtime-choice.ts";
import { checkpoint, requirePipes, restoreArgs } from "./checkpoint.ts";
import { findOwnCgroup } from "./container-cgroup.ts";
import { createContainer } from "./create-container.ts";
import { createCriu } from "./criu.ts";
import { deleteExec, startExec } from "./exec-process.ts";
import { deleteContainer, discardContainer } from "./remove-container.ts";
import { asStored, containerOf, type TaskDetails, taskDetails } from "./task-details.ts";
import { taskStdio } from "./task-stdio.ts";

const SIGKILL = 9;

/** Tasks as containers of an OCI runtime, whose processes are the pod's monitor's. */
export function createRuncTasks(choice: RuntimeChoice): TaskEngine {
  const criu = createCriu();
  // Known by the time that the first container is made, which shall not wait for it.
  void criu.works("");

  function of(sandbox: Sandbox, task: Task): { details: TaskDetails; container: Container; runtime: OciRuntime } {
    const details = taskDetails(task);
    if (details === undefined) {
      throw taskNotFound(task.id);
    }
    return { details, container: containerOf(sandbox, task, details), runtime: choice.runtime(details.binary) };
  }

  async function restore(sandbox: Sandbox, task: Task, details: TaskDetails, timeoutMs: number): Promise<number> {
    await criu.require(details.options.criuPath);
    const { container, runtime } = of(sandbox, task);
    const stdio = taskStdio(sandbox, task.record.io, details);
    const pid = await runtime.restore(container, restoreArgs(task, details), stdio, timeoutMs);
    const cgroup = findOwnCgroup(pid);
    task.update({ engine: asStored({ ...details, ...(cgroup && { cgroup }) }) });
    return pid;
  }

  return {
    create: (sandbox, task, request, timeoutMs) => createContainer(choice, criu, sandbox, task, request, timeoutMs),

    async start(sandbox, task, timeoutMs) {
      const { details, container, runtime } = of(sandbox, task);
      if (details.restore !== undefined) {
        return await restore(sandbox, task, details, timeoutMs);
      }
      await runtime.start(container, timeoutMs);
      return task.record.pid;
    },

    async hasStarted(sandbox, task) {
      const { container, runtime } = of(sandbox, task);
      return !runtime.isWaiting(container);
    },

    delete: (sandbox, task) => deleteContainer(choice, sandbox, task),
    discard: (sandbox, task) => discardContainer(choice, sandbox, task),
    interrupt: (sandbox, task) => sandbox.monitor.cancel(task.id),

    startExec: (sandbox, task, exec, timeoutMs) =>
      startExec(choice, sandbox, task, of(sandbox, task).details, exec, timeoutMs),

    deleteExec,

    async wait(sandbox, task, execId) {
      const { exit } = await sandbox.monitor.wait(processKey(task.id, execId));
      return exit;
    },

    async initExited(_sandbox, task) {
      const details = taskDetails(task);
      if (details?.cgroup === undefined) {
        return;
      }
      if (details.killOnExit) {
        await signalMembers(details.cgroup, SIGKILL);
      } else if (task.record.state === "paused" || task.record.state === "pausing") {
        thaw(details.cgroup);
      }
    },

    async signal(sandbox, task, execId, signal, all) {
      const cgroup = taskDetails(task)?.cgroup;
      if (all && cgroup !== undefined) {
        await signalMembers(cgroup, signal);
        return;
      }
      try {
        await sandbox.monitor.signal(processKey(task.id, execId), signal);
      } catch (error) {
        throw isCode(error, ErrorCode.NOT_FOUND) ? notFound("process already finished") : error;
      }
      if (signal === SIGKILL && execId === "" && cgroup !== undefined && task.record.state === "paused") {
        // A frozen process does not even die, on cgroup v1. An exec's does when the container, which stays, is resumed.
        thaw(cgroup);
      }
    },

    async pause(sandbox, task, timeoutMs) {
      const { container, runtime } = of(sandbox, task);
      await runtime.pause(container, timeoutMs);
    },

    async resume(sandbox, task, timeoutMs) {
      const { container, runtime } = of(sandbox, task);
      await runtime.resume(container, timeoutMs);
    },

    async update(sandbox, task, resources, timeoutMs) {
      const { container, runtime } = of(sandbox, task);
      const file = join(task.bundle, "update.json");
      writeFileSync(file, JSON.stringify(resources), { mode: 0o600 });
      try {
        await runtime.update(container, file, timeoutMs);
      } finally {
        rmSync(file, { force: true });
      }
    },

    async checkpoint(sandbox, task, request, timeoutMs) {
      const { details, container, runtime } = of(sandbox, task);
      await criu.require(details.options.criuPath);
      requirePipes(task, details);
      await checkpoint(runtime, container, task, request, timeoutMs);
    },

    resize: (sandbox, task, execId, width, height) =>
      sandbox.monitor.resize(processKey(task.id, execId), width, height),

    closeStdin: (sandbox, task, execId) => sandbox.monitor.closeStdin(processKey(task.id, execId)),

    pids(_sandbox, task) {
      const cgroup = taskDetails(task)?.cgroup;
      if (cgroup !== undefined) {
        return cgroupMembers(cgroup);
      }
      const { pid, state, execs } = task.record;
      const running = Object.values(execs).filter((exec) => exec.state === "running");
      return [...(state === "stopped" || pid === 0 ? [] : [pid]), ...running.map((exec) => exec.pid)];
    },

    async stats(_sandbox, task) {
      const cgroup = taskDetails(task)?.cgroup;
      if (cgroup === undefined) {
        throw notFound(`cgroup does not exist: task ${task.id} has none of its own`);
      }
      return await readCgroupMetrics(cgroup);
    },
  };
}
