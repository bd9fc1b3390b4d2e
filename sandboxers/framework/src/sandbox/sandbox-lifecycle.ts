import { setTimeout as sleep } from "node:timers/promises";
import { alreadyExists, errorText, failedPrecondition, notFound } from "../error/sandbox-error.ts";
import { validateBundlePath } from "../identifier/bundle-path.ts";
import { quote, validateIdentifier } from "../identifier/identifier.ts";
import type { KeyedLock } from "../lock/keyed-lock.ts";
import type { Logger } from "../log/logger.ts";
import type { Monitors } from "../monitor/own-monitor.ts";
import { checkSignal } from "../monitor/signal-number.ts";
import { processStartTime } from "../proc/start-time.ts";
import { STORE_VERSION } from "../store/read-record.ts";
import type { StateStore } from "../store/state-store.ts";
import { logUnwritten } from "../store/unwritten.ts";
import type { TaskLifecycle } from "../task/task-lifecycle.ts";
import { type Exit, now, type Timestamp, unknownExit } from "./exit.ts";
import { adoptOrphan, isOrphan } from "./orphan.ts";
import { Sandbox } from "./sandbox.ts";
import type { SandboxRegistry } from "./sandbox-registry.ts";
import { criState } from "./sandbox-state.ts";
import type { Sandboxer, SandboxRequest } from "./sandboxer.ts";

const SIGKILL = 9;
/** How long a sandbox that was asked to end by another signal may take. */
const STOP_TIMEOUT_MS = 10_000;

/** What can be asked of sandboxes, whichever protocol the question came by. Everything throws SandboxError. */
export interface SandboxLifecycle {
  create(request: SandboxRequest): Promise<void>;
  start(namespace: string, id: string): Promise<StartedSandbox>;
  stop(namespace: string, id: string, timeoutMs: number): Promise<void>;
  /**
   * A signal to the sandbox's process, or what it amounts to where the sandboxer takes none. NOT_FOUND "process already
   * finished" if so; INVALID_ARGUMENT for what is no signal.
   */
  signal(namespace: string, id: string, signal: number): Promise<void>;
  /** Answers when the sandbox has ended. */
  wait(namespace: string, id: string): Promise<Exit>;
  status(namespace: string, id: string): SandboxStatus;
  /** Stops the sandbox and removes all that belongs to it. NOT_FOUND if there is none. */
  shutdown(namespace: string, id: string): Promise<void>;
  /**
   * The sandbox's shim is said to be dead. If its monitor is, another one takes care of what is left, so that it can
   * be removed. NOT_FOUND if there is no such sandbox.
   */
  takeOver(namespace: string, id: string): Promise<void>;
  /**
   * What is left of the sandbox's own bundle goes: all of the sandbox, unless its shim lives and it has tasks. Containers
   * may outlive a pause process, whose task containerd deletes at once; the sandbox goes with the last of them.
   */
  cleanUp(namespace: string, id: string): Promise<void>;
  /** Takes note of the end of a sandbox's process, now or at any later time. */
  watch(sandbox: Sandbox): void;
  /** As `shutdown`, for a sandbox at hand. */
  remove(sandbox: Sandbox): Promise<void>;
  /** As `remove`, again and again until it has succeeded: for what nobody will ask for any more. */
  removeAtLast(sandbox: Sandbox): Promise<void>;
  /** Has the sandbox removed should its shim die, now or at any later time. */
  tend(sandbox: Sandbox): void;
}

export interface StartedSandbox {
  readonly pid: number;
  readonly createdAt: Timestamp;
}

export interface SandboxStatus {
  readonly pid: number;
  readonly state: string;
  readonly createdAt: Timestamp;
  readonly exit?: Exit;
  readonly info: Readonly<Record<string, string>>;
}

export interface SandboxLifecycleParts {
  readonly sandboxer: Sandboxer;
  readonly store: StateStore;
  readonly registry: SandboxRegistry;
  readonly lock: KeyedLock;
  readonly monitors: Monitors;
  readonly tasks: TaskLifecycle;
  readonly log: Logger;
}

const REMOVAL_RETRY_MS = 200;
const REMOVAL_RETRY_MAX_MS = 10_000;

export function createSandboxLifecycle(parts: SandboxLifecycleParts): SandboxLifecycle {
  const { sandboxer, store, registry, lock, monitors, tasks, log } = parts;

  async function make(request: SandboxRequest): Promise<void> {
    const { namespace, id } = request;
    if (registry.find(namespace, id) !== undefined) {
      throw alreadyExists(`sandbox ${quote(id)} already exists in namespace ${quote(namespace)}`);
    }
    const task = registry.findByTask(namespace, id)?.tasks.get(id);
    if (task !== undefined && task.record.state !== "deleted") {
      throw alreadyExists(`sandbox ${quote(id)} has the id of a task in namespace ${quote(namespace)}`);
    }
    const engine = sandboxer.parseOptions(request.options);
    const ownMonitor = request.monitorAddress === "";
    // Connected while the rest of the sandbox is made.
    const monitor = ownMonitor ? await monitors.launch(`${namespace}/${id}`) : monitors.connect(request.monitorAddress);
    monitor.warmUp();
    const record = {
      version: STORE_VERSION,
      kind: sandboxer.kind,
      namespace,
      id,
      state: "creating",
      bundle: request.bundle,
      lone: request.lone,
      netnsPath: request.netnsPath,
      monitorAddress: monitor.address,
      ownMonitor,
      createdAt: now(),
      pid: 0,
      startTime: 0,
      engine,
    } as const;
    const sandbox = new Sandbox(store, record, monitor);
    try {
      store.addSandbox(record);
    } catch (error) {
      monitor.close();
      throw error;
    }
    registry.add(sandbox);
    tend(sandbox);
    try {
      await sandboxer.create(sandbox, request);
      sandbox.update({ state: "created" });
    } catch (error) {
      await removeLocked(sandbox).catch((left: unknown) => {
        log.error({ sandbox: id, err: errorText(left) }, "a half-made sandbox cannot be removed yet");
        void removeAtLast(sandbox);
      });
      throw error;
    }
  }

  async function begin(sandbox: Sandbox): Promise<StartedSandbox> {
    const { state, createdAt } = sandbox.record;
    if (state !== "created") {
      throw failedPrecondition(`sandbox ${sandbox.id} is ${state}, to be started it must be created`);
    }
    sandbox.update({ state: "starting" });
    let pid: number;
    try {
      pid = await sandboxer.start(sandbox);
    } catch (error) {
      logUnwritten(log, { sandbox: sandbox.id }, sandbox.note({ state: "created" }));
      throw error;
    }
    sandbox.update({ state: "ready", pid, startTime: pid === 0 ? 0 : processStartTime(pid) });
    // Once the answer is out: whoever starts a pod waits for it, and the monitor keeps an exit that comes before.
    setImmediate(() => watch(sandbox));
    return { pid, createdAt };
  }

  function watch(sandbox: Sandbox): void {
    if (sandbox.record.pid === 0) {
      return;
    }
    void sandboxer
      .wait(sandbox)
      .catch((error: unknown) => {
        log.warn({ sandbox: sandbox.id, err: errorText(error) }, "how the sandbox ended cannot be known: status 255");
        if (sandbox.monitor.lost) {
          markOrphaned(sandbox);
        }
        return unknownExit();
      })
      .then((exit) => ended(sandbox, exit));
  }

  function ended(sandbox: Sandbox, exit: Exit): void {
    if (sandbox.record.state !== "deleting") {
      record(sandbox, { state: "stopped", exit });
    }
    sandbox.exited.resolve(exit);
  }

  function markOrphaned(sandbox: Sandbox): void {
    if (sandbox.record.state !== "deleting") {
      log.warn({ sandbox: sandbox.id }, "the sandbox's monitor died: what is left of the sandbox waits to be removed");
      record(sandbox, { orphaned: true });
    }
  }

  // Nobody has called who could be told: what cannot be written down (a full disk) is logged, and Wait answers all the same.
  function record(sandbox: Sandbox, change: Parameters<Sandbox["update"]>[0]): void {
    if (registry.find(sandbox.namespace, sandbox.id) !== sandbox) {
      return;
    }
    logUnwritten(log, { sandbox: sandbox.id }, sandbox.note(change));
  }

  // Its shim was to ask for its removal, or else the shim's `delete` command; that one may have been killed, or have found
  // us away, and containerd does not call it again.
  function tend(sandbox: Sandbox): void {
    if (sandbox.record.ownMonitor !== true) {
      void sandbox.monitor.gone.then(() => {
        log.warn({ sandbox: sandbox.id }, "the sandbox's shim died: what is left of the sandbox is removed");
        return removeAtLast(sandbox);
      });
    }
  }

  async function removeAtLast(sandbox: Sandbox): Promise<void> {
    for (let pauseMs = REMOVAL_RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, REMOVAL_RETRY_MAX_MS)) {
      try {
        await removePresent(sandbox);
        return;
      } catch (error) {
        log.warn({ sandbox: sandbox.id, err: errorText(error) }, "the sandbox cannot be removed yet");
      }
      await sleep(pauseMs, undefined, { ref: false });
    }
  }

  async function removePresent(sandbox: Sandbox): Promise<void> {
    await lock.run(sandbox.key, "remove", async () => {
      if (registry.find(sandbox.namespace, sandbox.id) === sandbox) {
        await removeLocked(sandbox);
      }
    });
  }

  async function end(sandbox: Sandbox, timeoutMs: number): Promise<void> {
    const { state, pid } = sandbox.record;
    if (state === "stopped" || state === "deleting") {
      return;
    }
    if (isOrphan(sandbox)) {
      await adoptOrphan(sandbox, monitors, log);
    }
    await tasks.killAll(sandbox);
    await sandboxer.stop(sandbox, timeoutMs);
    if (pid === 0) {
      ended(sandbox, { status: 0, at: now() });
    } else {
      await sandbox.exited.promise;
    }
  }

  async function removeLocked(sandbox: Sandbox): Promise<void> {
    logUnwritten(log, { sandbox: sandbox.id }, sandbox.note({ state: "deleting" }));
    if (isOrphan(sandbox)) {
      await adoptOrphan(sandbox, monitors, log);
    }
    await tasks.discardAll(sandbox);
    await sandboxer.stop(sandbox, 0);
    await sandboxer.remove(sandbox);
    registry.remove(sandbox);
    store.removeSandbox(sandbox.record);
    // Whoever waits gets the true status, if the process has just been ended.
    if (sandbox.record.pid === 0) {
      sandbox.exited.resolve(sandbox.record.exit ?? { status: 0, at: now() });
    }
    sandbox.monitor.close();
  }

  const lifecycle: SandboxLifecycle = {
    watch,

    async create(request) {
      validateIdentifier(request.namespace, "namespace");
      validateIdentifier(request.id, "sandbox id");
      const bundle = request.bundle === "" ? "" : validateBundlePath(request.bundle);
      await lock.run(lockKey(request), "CreateSandbox", () => make({ ...request, bundle }));
    },

    async start(namespace, id) {
      const sandbox = registry.get(namespace, id);
      return await lock.run(sandbox.key, "StartSandbox", () => begin(sandbox));
    },

    async stop(namespace, id, timeoutMs) {
      const sandbox = registry.get(namespace, id);
      await lock.run(sandbox.key, "StopSandbox", () => end(sandbox, timeoutMs));
    },

    async signal(namespace, id, signal) {
      checkSignal(signal);
      const sandbox = registry.get(namespace, id);
      if (sandbox.record.state === "stopped") {
        throw notFound("process already finished");
      }
      if (sandboxer.takesSignals && sandbox.record.pid !== 0) {
        await sandbox.monitor.signal(id, signal);
      } else {
        const timeoutMs = signal === SIGKILL ? 0 : STOP_TIMEOUT_MS;
        await lock.run(sandbox.key, "Kill", () => end(sandbox, timeoutMs));
      }
    },

    async wait(namespace, id) {
      return await registry.get(namespace, id).exited.promise;
    },

    status(namespace, id) {
      const { record, tasks: held } = registry.get(namespace, id);
      const { pid, createdAt, exit } = record;
      const details = {
        pid,
        state: record.state,
        monitor: record.monitorAddress,
        orphaned: record.orphaned === true,
        tasks: [...held.keys()],
      };
      // As CRI's own: one entry of this name, whose JSON `crictl inspectp` shows.
      const info = { info: JSON.stringify(details) };
      return { pid, state: criState(record.state), createdAt, ...(exit && { exit }), info };
    },

    async takeOver(namespace, id) {
      const sandbox = registry.get(namespace, id);
      // Before the lock, which a call may hold that waits for the dead monitor.
      await sandbox.monitor.probe();
      await lock.run(sandbox.key, "cleanup", async () => {
        if (registry.find(namespace, id) === sandbox && isOrphan(sandbox)) {
          await adoptOrphan(sandbox, monitors, log);
        }
      });
    },

    async cleanUp(namespace, id) {
      await lifecycle.takeOver(namespace, id);
      const sandbox = registry.get(namespace, id);
      const { orphaned, lone } = sandbox.record;
      if (orphaned === true || lone || !sandbox.hasTasks()) {
        await lifecycle.shutdown(namespace, id);
      }
    },

    async shutdown(namespace, id) {
      await removePresent(registry.get(namespace, id));
    },

    remove: removePresent,
    removeAtLast,
    tend,
  };
  return lifecycle;
}

function lockKey({ namespace, id }: SandboxRequest): string {
  return `${namespace}/${id}`;
}
