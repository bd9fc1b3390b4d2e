import { errorText } from "../error/sandbox-error.ts";
import type { KeyedLock } from "../lock/keyed-lock.ts";
import type { Logger } from "../log/logger.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { TaskEngine } from "./task-engine.ts";

/**
 * Runs what removes a task, alone. What is being done to the task by then has `patienceMs` to come to its end; then it
 * is interrupted, so that an OCI runtime that hangs cannot hold up the end of its container, or of the whole pod.
 */
export type RemovalLock = <T>(
  sandbox: Sandbox,
  taskId: string,
  owner: string,
  patienceMs: number,
  body: () => Promise<T>,
) => Promise<T>;

/** Removals are not interrupted: they have a deadline of their own, and are wanted. */
const INTERRUPTIBLE: ReadonlySet<string> = new Set(["Create", "Start", "Pause", "Resume", "Update", "Checkpoint"]);
const AGAIN_MS = 1_000;

/** The name of the lock under which one thing at a time is done to a task. */
export function taskLock(sandbox: Sandbox, taskId: string): string {
  return `${sandbox.key}/${taskId}`;
}

export function createRemovalLock(engine: TaskEngine, lock: KeyedLock, log: Logger): RemovalLock {
  return async (sandbox, taskId, owner, patienceMs, body) => {
    const key = taskLock(sandbox, taskId);
    let timer: NodeJS.Timeout | undefined;
    const interrupt = () => {
      const task = sandbox.tasks.get(taskId);
      const holder = lock.owner(key) ?? "";
      if (task !== undefined && INTERRUPTIBLE.has(holder)) {
        log.warn({ sandbox: sandbox.id, task: taskId, holder, owner }, "interrupting what is being done to a task");
        engine.interrupt(sandbox, task).catch((error: unknown) => {
          log.warn({ sandbox: sandbox.id, task: taskId, err: errorText(error) }, "it cannot be interrupted");
        });
      }
      // Between two commands there is nothing to interrupt yet.
      timer = setTimeout(interrupt, AGAIN_MS);
    };
    if (lock.owner(key) !== undefined) {
      timer = setTimeout(interrupt, patienceMs);
    }
    try {
      return await lock.run(key, owner, () => {
        clearTimeout(timer);
        return body();
      });
    } finally {
      clearTimeout(timer);
    }
  };
}
