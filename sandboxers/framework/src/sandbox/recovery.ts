import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";
import type { MonitoredProcess } from "../monitor/monitor.ts";
import type { Monitors } from "../monitor/own-monitor.ts";
import { processStartTime } from "../proc/start-time.ts";
import type { StateStore, StoredSandbox } from "../store/state-store.ts";
import { Task } from "../task/task.ts";
import { recoverTasks, type TaskRecoveryParts } from "../task/task-recovery.ts";
import { unknownExit } from "./exit.ts";
import { Sandbox } from "./sandbox.ts";
import type { SandboxLifecycle } from "./sandbox-lifecycle.ts";
import type { SandboxRegistry } from "./sandbox-registry.ts";
import type { Sandboxer } from "./sandboxer.ts";

export interface RecoveryParts extends TaskRecoveryParts {
  readonly sandboxer: Sandboxer;
  readonly store: StateStore;
  readonly registry: SandboxRegistry;
  readonly monitors: Monitors;
  readonly sandboxes: SandboxLifecycle;
  readonly log: Logger;
}

// Each is a connection and a handful of calls; the rest is waiting.
const AT_A_TIME = 32;

/**
 * Takes up what a former process of this sandboxer left: what runs goes on, what has exited gets its status, what was
 * half made or half removed is removed. Throws StoreUnreadable, having changed nothing, if the store cannot be read.
 */
export async function recover(parts: RecoveryParts): Promise<void> {
  const stored = readStore(parts.store, parts.sandboxer.kind);
  parts.store.sweep();
  const queue = [...stored];
  const worker = async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      await recoverSandbox(parts, next);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

/** What is stored, if all of it can be read and is of this kind. Changes nothing. */
export function readStore(store: StateStore, kind: string): StoredSandbox[] {
  const stored = store.load();
  const foreign = stored.find(({ sandbox }) => sandbox.kind !== kind);
  if (foreign !== undefined) {
    const { id, kind: other } = foreign.sandbox;
    throw new Error(`sandbox ${id} in the state directory is of kind ${other}, expected ${kind}`);
  }
  return stored;
}

async function recoverSandbox(parts: RecoveryParts, { sandbox: record, tasks }: StoredSandbox): Promise<void> {
  const { store, registry, monitors, sandboxes, log } = parts;
  const sandbox = new Sandbox(store, record, monitors.connect(record.monitorAddress));
  for (const task of tasks) {
    sandbox.tasks.set(task.id, new Task(store, record, task));
  }
  registry.add(sandbox);
  sandboxes.tend(sandbox);
  let processes: MonitoredProcess[] = [];
  try {
    processes = await sandbox.monitor.list();
  } catch (error) {
    log.warn({ sandbox: sandbox.id, err: errorText(error) }, "the sandbox's monitor does not answer");
  }
  try {
    if (record.state === "creating" || record.state === "deleting") {
      log.info({ sandbox: sandbox.id, state: record.state }, "removing a half-made sandbox");
      await sandboxes.remove(sandbox);
    } else if (sandbox.monitor.lost && isWithoutProcesses(sandbox)) {
      // A monitor of our own ends when it has nothing to do.
      sandbox.monitor = await monitors.launch(sandbox.key);
      sandbox.update({ monitorAddress: sandbox.monitor.address });
      await settle(sandbox, [], parts);
    } else if (sandbox.monitor.lost && record.ownMonitor === true) {
      abandon(sandbox, parts);
    } else if (sandbox.monitor.lost) {
      // Its shim is dead: whoever tends it removes it.
      sandbox.update({ state: "deleting", orphaned: true });
    } else {
      // A monitor that is only slow is waited for.
      await settle(sandbox, processes, parts);
    }
  } catch (error) {
    if (sandbox.record.state === "deleting") {
      log.warn({ sandbox: sandbox.id, err: errorText(error) }, "the half-made sandbox cannot be removed yet");
      void sandboxes.removeAtLast(sandbox);
      return;
    }
    log.error(
      { sandbox: sandbox.id, err: errorText(error) },
      "the sandbox cannot be recovered, and waits to be removed",
    );
  }
}

function isWithoutProcesses({ record, tasks }: Sandbox): boolean {
  const idle = ["created", "stopped"].includes(record.state) || (record.state === "ready" && record.pid === 0);
  return record.ownMonitor === true && idle && [...tasks.values()].every((task) => task.record.state === "deleted");
}

/** Whoever could know how its processes ended is gone: they are all answered with 255. */
function abandon(sandbox: Sandbox, { exits, log }: RecoveryParts): void {
  log.warn({ sandbox: sandbox.id }, "the sandbox has no monitor any more, and waits to be removed");
  sandbox.update({ orphaned: true });
  endSandbox(sandbox);
  for (const task of sandbox.tasks.values()) {
    for (const { id, state } of Object.values(task.record.execs)) {
      if (state === "running" || state === "starting") {
        exits.execExited(task, id, unknownExit());
      }
    }
    if (["created", "starting", "running", "pausing", "paused"].includes(task.record.state)) {
      const exit = unknownExit();
      task.initGone = true;
      task.update({ state: "stopped", exit });
      task.exit("").resolve(exit);
    }
  }
}

function endSandbox(sandbox: Sandbox): void {
  const exit = sandbox.record.exit ?? unknownExit();
  if (sandbox.record.state !== "stopped") {
    sandbox.update({ state: "stopped", exit });
  }
  sandbox.exited.resolve(exit);
}

async function settle(sandbox: Sandbox, processes: MonitoredProcess[], parts: RecoveryParts): Promise<void> {
  const { sandboxer, sandboxes } = parts;
  const { state } = sandbox.record;
  if (state === "stopped") {
    endSandbox(sandbox);
  } else if (state === "starting" && sandboxer.undoStart) {
    await sandboxer.undoStart(sandbox);
    sandbox.update({ state: "created" });
  } else if (state === "starting") {
    // The process, if there is one, was never named to anybody: the start did take place all the same.
    const own = processes.find(({ key }) => key === (sandboxer.processKey ?? sandbox.id));
    sandbox.update(
      own === undefined ? { state: "created" } : { state: "ready", pid: own.pid, startTime: processStartTime(own.pid) },
    );
    sandboxes.watch(sandbox);
  } else if (state === "ready" || state === "paused") {
    sandboxes.watch(sandbox);
  }
  await recoverTasks(sandbox, new Map(processes.map((process) => [process.key, process])), parts);
  await sandboxes.pauseAgain(sandbox);
}
