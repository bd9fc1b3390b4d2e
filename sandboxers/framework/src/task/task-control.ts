import { ErrorCode, invalidArgument, isCode, notFound } from "../error/sandbox-error.ts";
import type { KeyedLock } from "../lock/keyed-lock.ts";
import { checkSignal } from "../monitor/signal-number.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { liveTask } from "../sandbox/sandbox-registry.ts";
import type { JsonObject } from "../store/json.ts";
import { checkExecVerb } from "./exec-state.ts";
import { taskLock } from "./removal-lock.ts";
import type { Task } from "./task.ts";
import type { CheckpointRequest, TaskEngine } from "./task-engine.ts";
import { checkTaskVerb, visibleState } from "./task-state.ts";

const WINDOW_MAX = 0xffff;

/** What can be done to a task while it is there. `timeoutMs` as for TaskLifecycle. Everything throws SandboxError. */
export interface TaskControl {
  /** Never waits for another call. NOT_FOUND "process already finished" if so; `all` reaches every process. */
  kill(sandbox: Sandbox, taskId: string, execId: string, signal: number, all: boolean): Promise<void>;
  pause(sandbox: Sandbox, taskId: string, timeoutMs: number): Promise<void>;
  resume(sandbox: Sandbox, taskId: string, timeoutMs: number): Promise<void>;
  update(sandbox: Sandbox, taskId: string, resources: JsonObject, timeoutMs: number): Promise<void>;
  checkpoint(sandbox: Sandbox, taskId: string, request: CheckpointRequest, timeoutMs: number): Promise<void>;
  /** In characters. */
  resize(sandbox: Sandbox, taskId: string, execId: string, width: number, height: number): Promise<void>;
  closeStdin(sandbox: Sandbox, taskId: string, execId: string): Promise<void>;
}

export function createTaskControl(engine: TaskEngine, lock: KeyedLock): TaskControl {
  async function locked(sandbox: Sandbox, taskId: string, what: string, body: (task: Task) => Promise<void>) {
    await lock.run(taskLock(sandbox, taskId), what, () => body(liveTask(sandbox, taskId)));
  }

  return {
    async kill(sandbox, taskId, execId, signal, all) {
      const task = liveTask(sandbox, taskId);
      checkSignal(signal);
      if (execId !== "") {
        checkExecVerb(task.exec(execId).state, "kill");
        await engine.signal(sandbox, task, execId, signal, false);
        return;
      }
      if (visibleState(task.record.state) === "stopped" && !all) {
        throw notFound("process already finished");
      }
      try {
        await engine.signal(sandbox, task, "", signal, all);
      } catch (error) {
        if (!all || !isCode(error, ErrorCode.NOT_FOUND)) {
          throw error;
        }
      }
    },

    async pause(sandbox, taskId, timeoutMs) {
      await locked(sandbox, taskId, "Pause", async (task) => {
        checkTaskVerb(taskId, task.record.state, "pause");
        task.update({ state: "pausing" });
        try {
          await engine.pause(sandbox, task, timeoutMs);
        } catch (error) {
          settle(task, "pausing", "running");
          throw error;
        }
        settle(task, "pausing", "paused");
      });
    },

    async resume(sandbox, taskId, timeoutMs) {
      await locked(sandbox, taskId, "Resume", async (task) => {
        checkTaskVerb(taskId, task.record.state, "resume");
        await engine.resume(sandbox, task, timeoutMs);
        settle(task, "paused", "running");
      });
    },

    async update(sandbox, taskId, resources, timeoutMs) {
      await locked(sandbox, taskId, "Update", async (task) => {
        checkTaskVerb(taskId, task.record.state, "update");
        await engine.update(sandbox, task, resources, timeoutMs);
      });
    },

    async checkpoint(sandbox, taskId, request, timeoutMs) {
      await locked(sandbox, taskId, "Checkpoint", async (task) => {
        checkTaskVerb(taskId, task.record.state, "checkpoint");
        await engine.checkpoint(sandbox, task, request, timeoutMs);
      });
    },

    async resize(sandbox, taskId, execId, width, height) {
      const task = liveTask(sandbox, taskId);
      if (width > WINDOW_MAX || height > WINDOW_MAX) {
        throw invalidArgument(`a terminal of ${width} x ${height} is too large, at most ${WINDOW_MAX} each way`);
      }
      if (execId !== "") {
        checkExecVerb(task.exec(execId).state, "resize");
      }
      const { terminal } = execId === "" ? task.record.io : task.exec(execId).io;
      if (terminal) {
        await ignoringEnd(engine.resize(sandbox, task, execId, width, height));
      }
    },

    async closeStdin(sandbox, taskId, execId) {
      const task = liveTask(sandbox, taskId);
      const { stdin } = execId === "" ? task.record.io : task.exec(execId).io;
      if (stdin !== "") {
        await ignoringEnd(engine.closeStdin(sandbox, task, execId));
      }
    },
  };
}

// The process may have exited while the engine was at it; then its state says so and stays.
function settle(task: Task, from: "pausing" | "paused", to: "running" | "paused"): void {
  if (task.record.state === from) {
    task.update({ state: to });
  }
}

/** A process that has just ended has no terminal and no stdin any more, and nobody minds. */
async function ignoringEnd(done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!isCode(error, ErrorCode.NOT_FOUND)) {
      throw error;
    }
  }
}
