import { alreadyExists, failedPrecondition, invalidArgument } from "../error/sandbox-error.ts";
import { quote, validateIdentifier } from "../identifier/identifier.ts";
import type { KeyedLock } from "../lock/keyed-lock.ts";
import type { Logger } from "../log/logger.ts";
import { processStartTime } from "../proc/start-time.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { liveTask } from "../sandbox/sandbox-registry.ts";
import { isJsonObject } from "../store/json.ts";
import { logUnwritten } from "../store/unwritten.ts";
import { checkExecVerb } from "./exec-state.ts";
import type { ExitWatch } from "./exit-watch.ts";
import type { Task } from "./task.ts";
import type { TaskEngine } from "./task-engine.ts";
import type { DeletedProcess } from "./task-lifecycle.ts";
import type { TaskIo } from "./task-record.ts";
import { checkTaskVerb, taskNotFound } from "./task-state.ts";

/** A checked request for another process in a container. */
export interface ExecRequest {
  readonly taskId: string;
  readonly execId: string;
  readonly io: TaskIo;
  /** The OCI process, as JSON text. */
  readonly spec: string;
}

/** How processes are added to a container. Contract: the runc shim's `pkg/process/exec.go`. */
export interface ExecLifecycle {
  add(sandbox: Sandbox, request: ExecRequest): void;
  /** Answers with the pid. */
  start(sandbox: Sandbox, taskId: string, execId: string, timeoutMs: number): Promise<number>;
  /** The same answer again, if the exec has been deleted not long before. */
  delete(sandbox: Sandbox, taskId: string, execId: string): Promise<DeletedProcess>;
}

export function createExecLifecycle(engine: TaskEngine, lock: KeyedLock, exits: ExitWatch, log: Logger): ExecLifecycle {
  async function begin(sandbox: Sandbox, task: Task, execId: string, timeoutMs: number): Promise<number> {
    const exec = task.exec(execId);
    if (task.initGone || task.record.state === "stopped") {
      throw failedPrecondition(`container ${task.id} init process is not running`);
    }
    checkExecVerb(exec.state, "start");
    task.updateExec(execId, { state: "starting" });
    let pid: number;
    try {
      pid = await engine.startExec(sandbox, task, exec, timeoutMs);
    } catch (error) {
      logUnwritten(log, { task: task.id, exec: execId }, task.noteExec(execId, { state: "created" }));
      task.execNeverRan(execId);
      throw error;
    }
    const { spec: _, ...running } = task.exec(execId);
    task.updateExec(execId, { ...running, state: "running", pid, startTime: processStartTime(pid) });
    exits.exec(sandbox, task, execId);
    if (task.initGone) {
      // It came too late to be ended with what the init process left.
      await engine.initExited(sandbox, task);
    }
    return pid;
  }

  async function end(sandbox: Sandbox, task: Task, execId: string): Promise<DeletedProcess> {
    if (!task.hasExec(execId)) {
      const before = task.record.deletedExecs.find(({ id }) => id === execId);
      if (before !== undefined) {
        return before;
      }
    }
    const exec = task.exec(execId);
    checkExecVerb(exec.state, "delete");
    await engine.deleteExec(sandbox, task, execId);
    logUnwritten(log, { task: task.id, exec: execId }, task.removeExec(execId));
    return { pid: exec.pid, ...(exec.exit && { exit: exec.exit }) };
  }

  const lockKey = (sandbox: Sandbox, taskId: string, execId: string) => `${sandbox.key}/${taskId}/${execId}`;

  return {
    add(sandbox, { taskId, execId, io, spec }) {
      const task = liveTask(sandbox, taskId);
      validateIdentifier(execId, "exec id");
      if (task.hasExec(execId)) {
        throw alreadyExists(`id ${execId}`);
      }
      // What stands still as a whole stands still in each of its parts.
      checkTaskVerb(taskId, sandbox.record.state === "paused" ? "paused" : task.record.state, "exec");
      checkProcess(spec);
      task.addExec({ id: execId, state: "created", io, pid: 0, startTime: 0, spec });
    },

    async start(sandbox, taskId, execId, timeoutMs) {
      return await lock.run(lockKey(sandbox, taskId, execId), "Start", () =>
        begin(sandbox, liveTask(sandbox, taskId), execId, timeoutMs),
      );
    },

    async delete(sandbox, taskId, execId) {
      return await lock.run(lockKey(sandbox, taskId, execId), "Delete", async () => {
        const task = sandbox.tasks.get(taskId);
        // Of a deleted one there is but the answer to its own Delete.
        if (task === undefined || ["creating", "deleted"].includes(task.record.state)) {
          throw taskNotFound(taskId);
        }
        return await end(sandbox, task, execId);
      });
    },
  };
}

// What is wrong with the process itself the OCI runtime says when it is started, as with the runc shim.
function checkProcess(spec: string): void {
  let process: unknown;
  try {
    process = JSON.parse(spec);
  } catch (error) {
    throw invalidArgument(`the process to execute is not JSON: ${(error as Error).message}`);
  }
  if (!isJsonObject(process)) {
    throw invalidArgument(`the process to execute is ${quote(spec)}, expected an OCI process`);
  }
}
