import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";
import { type Exit, unknownExit } from "../sandbox/exit.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { logUnwritten } from "../store/unwritten.ts";
import type { Task } from "./task.ts";
import type { TaskEngine } from "./task-engine.ts";

/** Records the exits of processes as they happen, one wait a process, and tells all who wait for it. */
export interface ExitWatch {
  /** From when the init process exists. */
  init(sandbox: Sandbox, task: Task): void;
  /** From when the exec runs. */
  exec(sandbox: Sandbox, task: Task, execId: string): void;
  /** Records an exit that is already known. */
  initExited(sandbox: Sandbox, task: Task, exit: Exit): Promise<void>;
  execExited(task: Task, execId: string, exit: Exit): void;
}

export function createExitWatch(engine: TaskEngine, log: Logger): ExitWatch {
  async function exitOf(sandbox: Sandbox, task: Task, execId: string): Promise<Exit> {
    try {
      return await engine.wait(sandbox, task, execId);
    } catch (error) {
      log.warn(
        { sandbox: sandbox.id, task: task.id, exec: execId, err: errorText(error) },
        "the exit status of a process cannot be known: 255",
      );
      return unknownExit();
    }
  }

  // As the runc shim has it: the exit of a container is the last exit in it, also where another process is only now
  // being started (containerd issue 10589).
  async function initExited(sandbox: Sandbox, task: Task, exit: Exit): Promise<void> {
    task.initGone = true;
    try {
      await engine.initExited(sandbox, task);
    } catch (error) {
      log.error(
        { sandbox: sandbox.id, task: task.id, err: errorText(error) },
        "what the container left cannot be ended",
      );
    }
    const alive = Object.values(task.record.execs).filter(({ state }) => state === "running" || state === "starting");
    await Promise.all(alive.map(({ id }) => task.exit(id).promise));
    const { state } = task.record;
    if (state !== "deleting" && state !== "deleted") {
      logUnwritten(log, { sandbox: sandbox.id, task: task.id }, task.note({ state: "stopped", exit }));
    } else if (task.record.exit === undefined) {
      logUnwritten(log, { sandbox: sandbox.id, task: task.id }, task.note({ exit }));
    }
    task.exit("").resolve(exit);
  }

  function execExited(task: Task, execId: string, exit: Exit): void {
    if (task.hasExec(execId)) {
      logUnwritten(log, { task: task.id, exec: execId }, task.noteExec(execId, { state: "stopped", exit }));
    }
    task.exit(execId).resolve(exit);
  }

  // A status that cannot be written down is still told to whoever waits.
  function notRecorded(sandbox: Sandbox, task: Task, execId: string, exit: Exit, error: unknown): void {
    log.error(
      { sandbox: sandbox.id, task: task.id, exec: execId, err: errorText(error) },
      "an exit cannot be recorded",
    );
    task.exit(execId).resolve(exit);
  }

  return {
    initExited,
    execExited,

    init(sandbox, task) {
      void exitOf(sandbox, task, "").then((exit) =>
        initExited(sandbox, task, exit).catch((error: unknown) => notRecorded(sandbox, task, "", exit, error)),
      );
    },

    exec(sandbox, task, execId) {
      void exitOf(sandbox, task, execId).then((exit) => {
        try {
          execExited(task, execId, exit);
        } catch (error) {
          notRecorded(sandbox, task, execId, exit, error);
        }
      });
    },
  };
}
