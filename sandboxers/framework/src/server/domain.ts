import { createKeyedLock } from "../lock/keyed-lock.ts";
import type { Logger } from "../log/logger.ts";
import type { Monitors } from "../monitor/own-monitor.ts";
import { readStore, recover } from "../sandbox/recovery.ts";
import { createSandboxLifecycle, type SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";
import { createSandboxRegistry, type SandboxRegistry } from "../sandbox/sandbox-registry.ts";
import type { Sandboxer } from "../sandbox/sandboxer.ts";
import { createSandboxMetrics, type SandboxMetrics } from "../service/sandbox-metrics.ts";
import type { StateStore } from "../store/state-store.ts";
import { createExecLifecycle, type ExecLifecycle } from "../task/exec-lifecycle.ts";
import { createExitWatch } from "../task/exit-watch.ts";
import { createTaskControl, type TaskControl } from "../task/task-control.ts";
import { createTaskLifecycle, type TaskLifecycle } from "../task/task-lifecycle.ts";
import { createTaskQueries, type TaskQueries } from "../task/task-queries.ts";

/** A sandboxer with all that the framework adds to it: what the protocols are spoken to. */
export interface Domain {
  readonly sandboxer: Sandboxer;
  readonly registry: SandboxRegistry;
  readonly sandboxes: SandboxLifecycle;
  readonly tasks: TaskLifecycle;
  readonly execs: ExecLifecycle;
  readonly control: TaskControl;
  readonly queries: TaskQueries;
  readonly metrics: SandboxMetrics;
  /** Throws what `recover` would refuse the store with, and changes nothing. */
  check(): void;
  /** To be done once, before anything else is asked. Throws StoreUnreadable. */
  recover(): Promise<void>;
  /** Settles when nothing is being changed: calls that only wait do not count. */
  idle(): Promise<void>;
}

export interface DomainParts {
  readonly sandboxer: Sandboxer;
  readonly store: StateStore;
  readonly monitors: Monitors;
  readonly log: Logger;
}

export function createDomain({ sandboxer, store, monitors, log }: DomainParts): Domain {
  const engine = sandboxer.tasks;
  const registry = createSandboxRegistry();
  const lock = createKeyedLock();
  const exits = createExitWatch(engine, log);
  const parseOptions = sandboxer.parseOptions.bind(sandboxer);
  const tasks = createTaskLifecycle({ engine, parseOptions, registry, lock, exits, log });
  const sandboxes = createSandboxLifecycle({ sandboxer, store, registry, lock, monitors, tasks, log });
  const { kind } = sandboxer;
  return {
    sandboxer,
    registry,
    sandboxes,
    tasks,
    execs: createExecLifecycle(engine, lock, exits, log),
    control: createTaskControl(engine, lock),
    queries: createTaskQueries(engine),
    metrics: createSandboxMetrics(registry),
    idle: () => lock.idle(),
    check: () => void readStore(store, kind),
    recover: () => recover({ sandboxer, store, registry, monitors, sandboxes, engine, tasks, exits, log }),
  };
}
