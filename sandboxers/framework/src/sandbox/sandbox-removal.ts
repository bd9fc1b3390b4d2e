import { setTimeout as sleep } from "node:timers/promises";
import { errorText } from "../error/sandbox-error.ts";
import type { KeyedLock } from "../lock/keyed-lock.ts";
import type { Logger } from "../log/logger.ts";
import type { Monitors } from "../monitor/own-monitor.ts";
import type { StateStore } from "../store/state-store.ts";
import { logUnwritten } from "../store/unwritten.ts";
import type { TaskLifecycle } from "../task/task-lifecycle.ts";
import { now } from "./exit.ts";
import { adoptOrphan, isOrphan } from "./orphan.ts";
import type { Sandbox } from "./sandbox.ts";
import { resumeIfPaused } from "./sandbox-control.ts";
import type { SandboxRegistry } from "./sandbox-registry.ts";
import type { Sandboxer } from "./sandboxer.ts";

/** The name that a start holds a sandbox's lock under. */
export const START = "StartSandbox";

const RETRY_MS = 200;
const RETRY_MAX_MS = 10_000;

/** The ways a sandbox goes, asked for or not. */
export interface SandboxRemoval {
  /** Stops the sandbox and removes all that belongs to it. NOT_FOUND if there is none. */
  shutdown(namespace: string, id: string): Promise<void>;
  /** As `shutdown`, for a sandbox at hand. */
  remove(sandbox: Sandbox): Promise<void>;
  /** As `remove`, again and again until it has succeeded: for what nobody will ask for any more. */
  removeAtLast(sandbox: Sandbox): Promise<void>;
  /** Whoever is to end the sandbox does not wait for a start that is under way. */
  interruptStart(sandbox: Sandbox): void;
  /** Has the sandbox removed should its shim die, now or at any later time. */
  tend(sandbox: Sandbox): void;
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
  /** Undoes a sandbox whose making failed, for a caller that holds its lock. What fails is logged and tried again. */
  undo(sandbox: Sandbox): Promise<void>;
}

export interface SandboxRemovalParts {
  readonly sandboxer: Sandboxer;
  readonly store: StateStore;
  readonly registry: SandboxRegistry;
  readonly lock: KeyedLock;
  readonly monitors: Monitors;
  readonly tasks: TaskLifecycle;
  readonly log: Logger;
}

export function createSandboxRemoval(parts: SandboxRemovalParts): SandboxRemoval {
  const { sandboxer, store, registry, lock, monitors, tasks, log } = parts;

  async function removeLocked(sandbox: Sandbox): Promise<void> {
    await resumeIfPaused(parts, sandbox);
    logUnwritten(log, { sandbox: sandbox.id }, sandbox.note({ state: "deleting" }));
    if (isOrphan(sandbox)) {
      await adoptOrphan(sandbox, sandboxer, monitors, log);
    }
    if (sandboxer.holdsTasks) {
      await sandboxer.stop(sandbox, 0);
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
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)) {
      try {
        await remove(sandbox);
        return;
      } catch (error) {
        log.warn({ sandbox: sandbox.id, err: errorText(error) }, "the sandbox cannot be removed yet");
      }
      await sleep(pauseMs, undefined, { ref: false });
    }
  }

  function interruptStart(sandbox: Sandbox): void {
    if (lock.owner(sandbox.key) === START) {
      sandboxer.interruptStart?.(sandbox);
    }
  }

  async function remove(sandbox: Sandbox): Promise<void> {
    interruptStart(sandbox);
    await lock.run(sandbox.key, "remove", async () => {
      if (registry.find(sandbox.namespace, sandbox.id) === sandbox) {
        await removeLocked(sandbox);
      }
    });
  }

  async function takeOver(namespace: string, id: string): Promise<void> {
    const sandbox = registry.get(namespace, id);
    // Before the lock, which a call may hold that waits for the dead monitor.
    await sandbox.monitor.probe();
    await lock.run(sandbox.key, "cleanup", async () => {
      if (registry.find(namespace, id) === sandbox && isOrphan(sandbox)) {
        await adoptOrphan(sandbox, sandboxer, monitors, log);
      }
    });
  }

  async function shutdown(namespace: string, id: string): Promise<void> {
    await remove(registry.get(namespace, id));
  }

  async function cleanUp(namespace: string, id: string): Promise<void> {
    await takeOver(namespace, id);
    const sandbox = registry.get(namespace, id);
    const { orphaned, lone } = sandbox.record;
    if (orphaned === true || lone || !sandbox.hasTasks()) {
      await remove(sandbox);
    }
  }

  async function undo(sandbox: Sandbox): Promise<void> {
    await removeLocked(sandbox).catch((left: unknown) => {
      log.error({ sandbox: sandbox.id, err: errorText(left) }, "a half-made sandbox cannot be removed yet");
      void removeAtLast(sandbox);
    });
  }

  return { shutdown, remove, removeAtLast, interruptStart, tend, takeOver, cleanUp, undo };
}
