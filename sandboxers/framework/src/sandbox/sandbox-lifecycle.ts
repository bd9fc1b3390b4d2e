import { alreadyExists, failedPrecondition, notFound } from "../error/sandbox-error.ts";
import { validateBundlePath } from "../identifier/bundle-path.ts";
import { quote, validateIdentifier } from "../identifier/identifier.ts";
import { checkSignal } from "../monitor/signal-number.ts";
import { processStartTime } from "../proc/start-time.ts";
import { STORE_VERSION } from "../store/read-record.ts";
import { logUnwritten } from "../store/unwritten.ts";
import { type Exit, now, type Timestamp } from "./exit.ts";
import { adoptOrphan, isOrphan } from "./orphan.ts";
import { Sandbox } from "./sandbox.ts";
import { createSandboxControl, resumeIfPaused, type SandboxControl } from "./sandbox-control.ts";
import { createSandboxEnd, type SandboxEnd } from "./sandbox-end.ts";
import { createSandboxRemoval, type SandboxRemoval, type SandboxRemovalParts, START } from "./sandbox-removal.ts";
import { criState } from "./sandbox-state.ts";
import type { SandboxRequest } from "./sandboxer.ts";

const SIGKILL = 9;
/** How long a sandbox that was asked to end by another signal may take. */
const STOP_TIMEOUT_MS = 10_000;

/** What can be asked of sandboxes, whichever protocol the question came by. Everything throws SandboxError. */
export interface SandboxLifecycle extends SandboxRemoval, SandboxControl, Pick<SandboxEnd, "watch"> {
  create(request: SandboxRequest): Promise<void>;
  /** `timeoutMs` is what the caller has left, 0 for no limit. */
  start(namespace: string, id: string, timeoutMs: number): Promise<StartedSandbox>;
  stop(namespace: string, id: string, timeoutMs: number): Promise<void>;
  /**
   * A signal to the sandbox's process, or what it amounts to where the sandboxer takes none. NOT_FOUND "process already
   * finished" if so; INVALID_ARGUMENT for what is no signal.
   */
  signal(namespace: string, id: string, signal: number): Promise<void>;
  /** Answers when the sandbox has ended. */
  wait(namespace: string, id: string): Promise<Exit>;
  status(namespace: string, id: string): SandboxStatus;
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

export function createSandboxLifecycle(parts: SandboxRemovalParts): SandboxLifecycle {
  const { sandboxer, store, registry, lock, monitors, tasks, log } = parts;
  const removal = createSandboxRemoval(parts);
  const { watch, ended } = createSandboxEnd(parts);

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
      ...(request.containerdAddress && { containerdAddress: request.containerdAddress }),
      ownMonitor,
      createdAt: now(),
      pid: 0,
      startTime: 0,
      engine,
      ...(request.pod && { pod: { podName: request.pod.name, podNamespace: request.pod.namespace } }),
    } as const;
    const sandbox = new Sandbox(store, record, monitor);
    try {
      store.addSandbox(record);
    } catch (error) {
      monitor.close();
      throw error;
    }
    registry.add(sandbox);
    removal.tend(sandbox);
    try {
      await sandboxer.create(sandbox, request);
      sandbox.update({ state: "created" });
    } catch (error) {
      await removal.undo(sandbox);
      throw error;
    }
  }

  async function begin(sandbox: Sandbox, timeoutMs: number): Promise<StartedSandbox> {
    const { state, createdAt } = sandbox.record;
    if (state !== "created") {
      throw failedPrecondition(`sandbox ${sandbox.id} is ${state}, to be started it must be created`);
    }
    sandbox.update({ state: "starting" });
    let pid: number;
    try {
      pid = await sandboxer.start(sandbox, timeoutMs);
    } catch (error) {
      logUnwritten(log, { sandbox: sandbox.id }, sandbox.note({ state: "created" }));
      throw error;
    }
    sandbox.update({ state: "ready", pid, startTime: pid === 0 ? 0 : processStartTime(pid) });
    // Once the answer is out: whoever starts a pod waits for it, and the monitor keeps an exit that comes before.
    setImmediate(() => watch(sandbox));
    return { pid, createdAt };
  }

  async function end(sandbox: Sandbox, timeoutMs: number): Promise<void> {
    const { state, pid } = sandbox.record;
    if (state === "stopped" || state === "deleting") {
      return;
    }
    if (isOrphan(sandbox)) {
      await adoptOrphan(sandbox, sandboxer, monitors, log);
    }
    await resumeIfPaused(parts, sandbox);
    await tasks.killAll(sandbox);
    await sandboxer.stop(sandbox, timeoutMs);
    if (pid === 0) {
      ended(sandbox, { status: 0, at: now() });
    } else {
      await sandbox.exited.promise;
    }
  }

  return {
    ...removal,
    ...createSandboxControl(parts),
    watch,

    async create(request) {
      validateIdentifier(request.namespace, "namespace");
      validateIdentifier(request.id, "sandbox id");
      const bundle = request.bundle === "" ? "" : validateBundlePath(request.bundle);
      await lock.run(lockKey(request), "CreateSandbox", () => make({ ...request, bundle }));
    },

    async start(namespace, id, timeoutMs) {
      const sandbox = registry.get(namespace, id);
      return await lock.run(sandbox.key, START, () => begin(sandbox, timeoutMs));
    },

    async stop(namespace, id, timeoutMs) {
      const sandbox = registry.get(namespace, id);
      removal.interruptStart(sandbox);
      await lock.run(sandbox.key, "StopSandbox", () => end(sandbox, timeoutMs));
    },

    async signal(namespace, id, signal) {
      checkSignal(signal);
      const sandbox = registry.get(namespace, id);
      if (sandbox.record.state === "stopped") {
        throw notFound("process already finished");
      }
      if (sandboxer.takesSignals && sandbox.record.pid !== 0) {
        await sandbox.monitor.signal(sandboxer.processKey ?? id, signal);
      } else {
        const timeoutMs = signal === SIGKILL ? 0 : STOP_TIMEOUT_MS;
        removal.interruptStart(sandbox);
        await lock.run(sandbox.key, "Kill", () => end(sandbox, timeoutMs));
      }
    },

    async wait(namespace, id) {
      return await registry.get(namespace, id).exited.promise;
    },

    status(namespace, id) {
      const sandbox = registry.get(namespace, id);
      const { record, tasks: held } = sandbox;
      const { pid, createdAt, exit } = record;
      const details = {
        pid,
        state: record.state,
        monitor: record.monitorAddress,
        orphaned: record.orphaned === true,
        tasks: [...held.keys()],
        ...(record.endReason !== undefined && { endReason: record.endReason }),
        ...sandboxer.describe?.(sandbox),
      };
      // As CRI's own: one entry of this name, whose JSON `crictl inspectp` shows.
      const info = { info: JSON.stringify(details) };
      return { pid, state: criState(record.state), createdAt, ...(exit && { exit }), info };
    },
  };
}

function lockKey({ namespace, id }: SandboxRequest): string {
  return `${namespace}/${id}`;
}
