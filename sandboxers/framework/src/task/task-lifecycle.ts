import { setTimeout as sleep } from "node:timers/promises";
import { alreadyExists, errorText, failedPrecondition, unavailable } from "../error/sandbox-error.ts";
import { validateBundlePath } from "../identifier/bundle-path.ts";
import { quote, validateIdentifier } from "../identifier/identifier.ts";
import type { KeyedLock } from "../lock/keyed-lock.ts";
import type { Logger } from "../log/logger.ts";
import { processStartTime } from "../proc/start-time.ts";
import type { Exit } from "../sandbox/exit.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { liveTask, type SandboxRegistry } from "../sandbox/sandbox-registry.ts";
import { STORE_VERSION } from "../store/read-record.ts";
import { logUnwritten } from "../store/unwritten.ts";
import type { ExitWatch } from "./exit-watch.ts";
import { createRemovalLock, taskLock } from "./removal-lock.ts";
import { Task } from "./task.ts";
import type { TaskEngine, TaskRequest } from "./task-engine.ts";
import type { TaskRecord } from "./task-record.ts";
import { checkTaskVerb, taskNotFound } from "./task-state.ts";

const SIGKILL = 9;

/** How tasks come and go. `timeoutMs` is what the caller has left, 0 for no limit. Everything throws SandboxError. */
export interface TaskLifecycle {
  /** Answers with the pid of the init process. */
  create(sandbox: Sandbox, request: TaskRequest, timeoutMs: number): Promise<number>;
  start(sandbox: Sandbox, taskId: string, timeoutMs: number): Promise<number>;
  /** The same answer again, if the task has been deleted before. */
  delete(sandbox: Sandbox, taskId: string): Promise<DeletedProcess>;
  /** Removes the task, whatever it does, and its record. NOT_FOUND if there is none. */
  cleanUp(sandbox: Sandbox, taskId: string): Promise<DeletedProcess>;
  /** Has every task of the sandbox end. */
  killAll(sandbox: Sandbox): Promise<void>;
  /** Removes every task of the sandbox, in whatever state. */
  discardAll(sandbox: Sandbox): Promise<void>;
  /** Removes a task that was half made, and its record. */
  discard(sandbox: Sandbox, task: Task): Promise<void>;
}

export interface DeletedProcess {
  readonly pid: number;
  readonly exit?: Exit;
}

export interface TaskLifecycleParts {
  readonly engine: TaskEngine;
  readonly parseOptions: (options: TaskRequest["options"]) => TaskRecord["engine"];
  readonly registry: SandboxRegistry;
  readonly lock: KeyedLock;
  readonly exits: ExitWatch;
  readonly log: Logger;
}

// What a task stands on goes away meanwhile: its monitor dies and another takes over, containerd removes its bundle.
/** After this long a Delete does not wait any longer for what else is being done to the task: containerd waits for five. */
const DELETE_PATIENCE_MS = 3_000;
const DISCARD_ATTEMPTS = 4;
const DISCARD_RETRY_MS = 50;

export function createTaskLifecycle(parts: TaskLifecycleParts): TaskLifecycle {
  const { engine, parseOptions, registry, lock, exits, log } = parts;

  async function make(sandbox: Sandbox, request: TaskRequest, timeoutMs: number): Promise<number> {
    checkRoom(sandbox, request.id);
    const record: TaskRecord = {
      version: STORE_VERSION,
      id: request.id,
      state: "creating",
      bundle: request.bundle,
      io: request.io,
      pid: 0,
      startTime: 0,
      execs: {},
      deletedExecs: [],
      engine: parseOptions(request.options),
    };
    const task = new Task(sandbox.store, sandbox.record, record);
    task.save();
    sandbox.tasks.set(task.id, task);
    try {
      const pid = await engine.create(sandbox, task, request, timeoutMs);
      task.update({ state: "created", pid, startTime: pid === 0 ? 0 : processStartTime(pid) });
      if (sandbox.record.state === "deleting") {
        throw unavailable(`sandbox ${sandbox.id} is being removed`);
      }
      if (pid !== 0) {
        watchExit(sandbox, task);
      }
      return pid;
    } catch (error) {
      await discard(sandbox, task);
      throw error;
    }
  }

  /** Once the answer is out: whoever waits for that does not wait for this. */
  function watchExit(sandbox: Sandbox, task: Task): void {
    setImmediate(() => exits.init(sandbox, task));
  }

  function checkRoom(sandbox: Sandbox, taskId: string): void {
    const { state, lone, orphaned } = sandbox.record;
    const ready = state === "ready" || (lone && state === "created");
    if (!ready || orphaned === true) {
      const what = orphaned === true ? "has lost its monitor" : `is ${state}`;
      throw failedPrecondition(`sandbox ${sandbox.id} ${what}, a task needs it to be ready`);
    }
    // A pod's id is that of its own process, for containerd as for the monitor.
    if (registry.find(sandbox.namespace, taskId)?.record.lone === false) {
      throw alreadyExists(`task ${quote(taskId)} has the id of a sandbox`);
    }
    const holder = registry.findByTask(sandbox.namespace, taskId);
    const existing = holder?.tasks.get(taskId);
    if (holder !== undefined && existing !== undefined && existing.record.state !== "deleted") {
      throw alreadyExists(`task ${quote(taskId)} already exists in sandbox ${holder.id}`);
    }
    if (holder !== undefined && existing !== undefined) {
      holder.tasks.delete(taskId);
      existing.discard();
    }
  }

  async function begin(sandbox: Sandbox, task: Task, timeoutMs: number): Promise<number> {
    checkTaskVerb(task.id, task.record.state, "start");
    task.update({ state: "starting" });
    let pid: number;
    try {
      pid = await engine.start(sandbox, task, timeoutMs);
    } catch (error) {
      if (task.record.state === "starting") {
        logUnwritten(log, { sandbox: sandbox.id, task: task.id }, task.note({ state: "created" }));
      }
      throw error;
    }
    // A process that ends at once may have been recorded as stopped already.
    if (task.record.state === "starting") {
      const restored = task.record.pid === 0;
      task.update({ state: "running", pid, ...(restored && { startTime: processStartTime(pid) }) });
      if (restored) {
        watchExit(sandbox, task);
      }
    }
    return pid;
  }

  async function end(sandbox: Sandbox, task: Task): Promise<DeletedProcess> {
    checkTaskVerb(task.id, task.record.state, "delete");
    const names = { sandbox: sandbox.id, task: task.id };
    logUnwritten(log, names, task.note({ state: "deleting" }));
    try {
      await engine.delete(sandbox, task);
      if (task.record.pid !== 0) {
        // Deleting a container that was never started ends its init process.
        await task.exit("").promise;
      }
    } catch (error) {
      logUnwritten(log, names, task.note({ state: "stopped" }));
      throw error;
    }
    logUnwritten(log, names, task.note({ state: "deleted", engine: {} }));
    return answerOf(task);
  }

  async function discard(sandbox: Sandbox, task: Task): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await engine.discard(sandbox, task);
        break;
      } catch (error) {
        if (attempt === DISCARD_ATTEMPTS) {
          // The sandbox's own end tries again; the record says what there is to do.
          log.error({ sandbox: sandbox.id, task: task.id, err: errorText(error) }, "a task cannot be undone");
          return;
        }
        log.debug({ sandbox: sandbox.id, task: task.id, err: errorText(error) }, "undoing a task again");
        await sleep(DISCARD_RETRY_MS);
      }
    }
    sandbox.tasks.delete(task.id);
    task.discard();
  }

  const runLast = createRemovalLock(engine, lock, log);

  return {
    discard,

    async create(sandbox, request, timeoutMs) {
      validateIdentifier(request.id, "task id");
      const bundle = validateBundlePath(request.bundle);
      return await lock.run(taskLock(sandbox, request.id), "Create", () =>
        make(sandbox, { ...request, bundle }, timeoutMs),
      );
    },

    async start(sandbox, taskId, timeoutMs) {
      return await lock.run(taskLock(sandbox, taskId), "Start", () =>
        begin(sandbox, liveTask(sandbox, taskId), timeoutMs),
      );
    },

    async delete(sandbox, taskId) {
      return await runLast(sandbox, taskId, "Delete", DELETE_PATIENCE_MS, async () => {
        const task = sandbox.tasks.get(taskId);
        if (task === undefined) {
          throw taskNotFound(taskId);
        }
        return task.record.state === "deleted" ? answerOf(task) : await end(sandbox, task);
      });
    },

    async cleanUp(sandbox, taskId) {
      return await runLast(sandbox, taskId, "cleanup", 0, async () => {
        const task = sandbox.tasks.get(taskId);
        if (task === undefined) {
          throw taskNotFound(taskId);
        }
        await discard(sandbox, task);
        if (sandbox.tasks.has(taskId)) {
          throw unavailable(`what is left of ${taskId} cannot be removed yet`);
        }
        return answerOf(task);
      });
    },

    async killAll(sandbox) {
      const killed = [...sandbox.tasks.values()].filter(({ record }) =>
        ["created", "starting", "running", "pausing", "paused"].includes(record.state),
      );
      await Promise.all(
        killed.map(async (task) => {
          try {
            await engine.signal(sandbox, task, "", SIGKILL, true);
          } catch (error) {
            log.debug({ sandbox: sandbox.id, task: task.id, err: errorText(error) }, "a task has ended by itself");
          }
        }),
      );
    },

    async discardAll(sandbox) {
      const failed: string[] = [];
      for (const task of [...sandbox.tasks.values()]) {
        await runLast(sandbox, task.id, "ShutdownSandbox", 0, async () => {
          if (task.record.state !== "deleted") {
            await discard(sandbox, task);
            if (sandbox.tasks.has(task.id)) {
              failed.push(task.id);
            }
          }
        });
      }
      if (failed.length > 0) {
        throw unavailable(`sandbox ${sandbox.id}: what is left of ${failed.join(", ")} cannot be removed yet`);
      }
    },
  };
}

function answerOf({ record }: Task): DeletedProcess {
  return { pid: record.pid, ...(record.exit && { exit: record.exit }) };
}
