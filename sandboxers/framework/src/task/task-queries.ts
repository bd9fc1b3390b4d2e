import type { CgroupMetrics } from "../cgroup/stats.ts";
import type { Exit } from "../sandbox/exit.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { liveTask } from "../sandbox/sandbox-registry.ts";
import type { TaskEngine } from "./task-engine.ts";
import type { TaskIo } from "./task-record.ts";
import { type VisibleState, visibleState } from "./task-state.ts";

/** What can be asked about tasks. None of it waits for a call that changes something. All throw SandboxError. */
export interface TaskQueries {
  state(sandbox: Sandbox, taskId: string, execId: string): ProcessStatus;
  /** Answers when the process has exited and everything in the container with it. */
  wait(sandbox: Sandbox, taskId: string, execId: string): Promise<Exit>;
  pids(sandbox: Sandbox, taskId: string): ContainerProcess[];
  stats(sandbox: Sandbox, taskId: string): Promise<CgroupMetrics>;
}

export interface ProcessStatus {
  readonly bundle: string;
  readonly pid: number;
  readonly state: VisibleState;
  readonly io: TaskIo;
  readonly exit?: Exit;
}

export interface ContainerProcess {
  readonly pid: number;
  /** Of the exec that the process is; "" for all others. */
  readonly execId: string;
}

export function createTaskQueries(engine: TaskEngine): TaskQueries {
  return {
    state(sandbox, taskId, execId) {
      const task = liveTask(sandbox, taskId);
      const { bundle } = task;
      const container = visibleState(task.record.state);
      if (execId === "") {
        const { pid, io, exit } = task.record;
        return { bundle, pid, state: container, io, ...(exit && { exit }) };
      }
      const { pid, io, exit, state: own } = task.exec(execId);
      // A paused container's processes are all paused.
      const frozen = container === "paused" || container === "pausing";
      const state = frozen ? container : own === "running" ? "running" : own === "stopped" ? "stopped" : "created";
      return { bundle, pid, state, io, ...(exit && { exit }) };
    },

    async wait(sandbox, taskId, execId) {
      const task = liveTask(sandbox, taskId);
      if (execId !== "") {
        task.exec(execId);
      }
      return await task.exit(execId).promise;
    },

    pids(sandbox, taskId) {
      const task = liveTask(sandbox, taskId);
      const execs = new Map<number, string>();
      for (const { pid, id, state } of Object.values(task.record.execs)) {
        // In a virtual machine, one process of the host stands for all of them.
        if (state === "running" && pid !== task.record.pid) {
          execs.set(pid, id);
        }
      }
      return engine.pids(sandbox, task).map((pid) => ({ pid, execId: execs.get(pid) ?? "" }));
    },

    async stats(sandbox, taskId) {
      return await engine.stats(sandbox, liveTask(sandbox, taskId));
    },
  };
}
