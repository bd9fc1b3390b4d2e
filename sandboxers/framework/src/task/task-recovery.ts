import type { Logger } from "../log/logger.ts";
import type { MonitoredProcess } from "../monitor/monitor.ts";
import { processStartTime } from "../proc/start-time.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { ExitWatch } from "./exit-watch.ts";
import type { Task } from "./task.ts";
import type { TaskEngine } from "./task-engine.ts";
import type { TaskLifecycle } from "./task-lifecycle.ts";
import { processKey } from "./task-record.ts";

export interface TaskRecoveryParts {
  readonly engine: TaskEngine;
  readonly tasks: TaskLifecycle;
  readonly exits: ExitWatch;
  readonly log: Logger;
}

type Processes = ReadonlyMap<string, MonitoredProcess>;

/** Brings the tasks of a sandbox, as they were recorded, in line with what the monitor knows of their processes. */
export async function recoverTasks(sandbox: Sandbox, processes: Processes, parts: TaskRecoveryParts): Promise<void> {
  for (const task of [...sandbox.tasks.values()]) {
    await recoverTask(sandbox, task, processes, parts);
  }
}

async function recoverTask(sandbox: Sandbox, task: Task, processes: Processes, parts: TaskRecoveryParts) {
  const { engine, tasks, exits, log } = parts;
  switch (task.record.state) {
    case "creating":
      log.info({ sandbox: sandbox.id, task: task.id }, "removing a half-made task");
      await tasks.discard(sandbox, task);
      return;
    case "deleted":
      return;
    case "deleting":
      // Its caller comes again, and then it is done from the start.
      task.update({ state: "stopped" });
      break;
    case "starting":
      task.update({ state: (await engine.hasStarted(sandbox, task)) ? "running" : "created" });
      break;
    case "pausing":
      task.update({ state: "running" });
      break;
    case "created":
    case "running":
    case "paused":
    case "stopped":
      break;
  }
  await recoverExecs(sandbox, task, processes, parts);
  const { state, exit } = task.record;
  if (state === "stopped" && exit !== undefined) {
    task.initGone = true;
    task.exit("").resolve(exit);
  } else {
    // A process that has exited, or that the monitor does not know, is answered for by the wait as well.
    exits.init(sandbox, task);
  }
}

async function recoverExecs(
  sandbox: Sandbox,
  task: Task,
  processes: Processes,
  { engine, exits, log }: TaskRecoveryParts,
): Promise<void> {
  const pidOf = async (execId: string) =>
    engine.startedExec
      ? await engine.startedExec(sandbox, task, execId)
      : processes.get(processKey(task.id, execId))?.pid;

  for (const exec of Object.values(task.record.execs)) {
    if (exec.state === "stopped" && exec.exit !== undefined) {
      task.exit(exec.id).resolve(exec.exit);
    } else if (exec.state === "running") {
      exits.exec(sandbox, task, exec.id);
    } else if (exec.state === "starting") {
      const pid = await pidOf(exec.id);
      if (pid === undefined) {
        log.info({ sandbox: sandbox.id, task: task.id, exec: exec.id }, "an exec that was being started was not");
        task.updateExec(exec.id, { state: "created" });
      } else {
        task.updateExec(exec.id, {
          state: "running",
          pid,
          startTime: processStartTime(pid),
        });
        exits.exec(sandbox, task, exec.id);
      }
    }
  }
}
