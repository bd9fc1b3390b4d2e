import { setTimeout as sleep } from "node:timers/promises";
import { metricsV2 } from "@kuasar/framework/cgroup/stats-v2";
import {
  ErrorCode,
  errorText,
  failedPrecondition,
  invalidArgument,
  isCode,
  notFound,
  SandboxError,
} from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import { readSpec } from "@kuasar/framework/oci/read-spec";
import type { OciResources } from "@kuasar/framework/oci/spec";
import { now } from "@kuasar/framework/sandbox/exit";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskEngine } from "@kuasar/framework/task/task-engine";
import { processKey } from "@kuasar/framework/task/task-record";
import type { Guest } from "../guest/guest.ts";
import { createGuestRuntime, execFifo } from "../guest/guest-runtime.ts";
import { plausibleExit } from "../guest/plausible-exit.ts";
import type { Machines } from "../machine/machine.ts";
import { changedLimits, type MachineGrowth, noteLimits } from "../size/machine-growth.ts";
import { limitsOf, type Size } from "../size/pod-size.ts";
import type { ContainerStorage } from "../storage/container-storage.ts";
import { containerSpec, requireSameTerminal } from "./container-spec.ts";
import { guestResources } from "./guest-resources.ts";
import { cgroupOf, guestProcess, guestSpec } from "./guest-spec.ts";
import { killInit } from "./kill-init.ts";
import { joinedPidNamespace, pidSharingOf } from "./pid-namespace.ts";
import { createTaskStdio } from "./task-stdio.ts";
import { tellOom } from "./tell-oom.ts";

const SIGKILL = 9;
/** How long a guest may take to say that there are no more events of a container that has ended. */
const LAST_EVENT_MS = 10_000;
/** So often a guest may fail to remove an ended container: what is left then is within its machine. */
const DELETE_ATTEMPTS = 3;
const CGROUP_FILES = [
  "pids.current",
  "pids.max",
  "cpu.stat",
  "memory.stat",
  "memory.current",
  "memory.max",
  "memory.swap.current",
  "memory.swap.max",
  "memory.events",
  "io.stat",
  "cgroup.procs",
];

/** Tasks as containers of the OCI runtime in the pod's machine. */
export function createVmmTasks(
  machines: Machines,
  storage: ContainerStorage,
  growth: MachineGrowth,
  log: Logger,
): TaskEngine {
  /** FAILED_PRECONDITION of a machine that is paused: it would not answer. */
  function guestOf(sandbox: Sandbox): Guest {
    if (sandbox.record.state === "paused") {
      throw failedPrecondition(`sandbox ${sandbox.id} is paused: its machine must go on first`);
    }
    return machines.of(sandbox).guest;
  }
  const runtimeOf = (sandbox: Sandbox) => createGuestRuntime(guestOf(sandbox));

  const stdio = createTaskStdio(machines, log);

  /** For what ends with the machine in any case. */
  async function unlessOver(sandbox: Sandbox, asked: Promise<unknown>): Promise<void> {
    try {
      await asked;
    } catch (error) {
      if (!machines.isOver(sandbox)) throw error;
    }
  }

  async function deleteInside(sandbox: Sandbox, task: Task): Promise<void> {
    const { failedDeletes } = machines.of(sandbox);
    try {
      await runtimeOf(sandbox).delete(task.id, true);
    } catch (error) {
      if (machines.isOver(sandbox)) return;
      const failed = (failedDeletes.get(task.id) ?? 0) + 1;
      failedDeletes.set(task.id, failed);
      if (failed < DELETE_ATTEMPTS && !isCode(error, ErrorCode.DEADLINE_EXCEEDED)) throw error;
      log.warn({ sandbox: sandbox.id, task: task.id, err: errorText(error) }, "a container is left in its machine");
    }
    failedDeletes.delete(task.id);
  }

  async function deleteContainer(sandbox: Sandbox, task: Task): Promise<void> {
    if (!machines.isOver(sandbox)) await deleteInside(sandbox, task);
    for (const execId of Object.keys(task.record.execs)) await stdio.close(sandbox, processKey(task.id, execId));
    await stdio.close(sandbox, task.id);
    await storage.close(sandbox, task);
  }

  /** A limit is no promise: what the machine cannot have, the container does not miss before it asks for it. */
  async function makeRoom(sandbox: Sandbox, task: Task, limits: Size): Promise<void> {
    noteLimits(task, limits);
    try {
      await growth.makeRoom(sandbox, guestOf(sandbox), task, limits);
      growth.requireWithin(sandbox, `container ${task.id}`, limits);
    } catch (error) {
      log.warn({ sandbox: sandbox.id, task: task.id, err: errorText(error) }, "a container may use more than there is");
    }
  }

  const engine: TaskEngine = {
    async create(sandbox, task, request, timeoutMs) {
      const spec = readSpec(task.bundle);
      if (spec === undefined) throw invalidArgument(`bundle ${task.bundle} has no config.json`);
      requireSameTerminal(spec, request.io);
      const pidSharing = pidSharingOf(spec);
      const pidNamespace = pidSharing === "joined" ? await joinedPidNamespace(sandbox, guestOf(sandbox), task) : "";
      task.update({ engine: { ...task.record.engine, pidSharing } });
      await makeRoom(sandbox, task, limitsOf(spec.linux?.resources));
      const parts = await storage.open(sandbox, task, spec, request.rootfs, timeoutMs);
      const own = containerSpec(sandbox, spec, request.rootfs);
      const container = guestSpec(own, task.id, { ...parts, pidNamespace });
      if (container.dropped.length > 0) {
        log.info({ sandbox: sandbox.id, task: task.id, dropped: container.dropped }, "not in a virtual machine");
      }
      await storage.bind(sandbox, task, container.binds);
      const io = await stdio.open(sandbox, guestOf(sandbox), task.id, request.io);
      await runtimeOf(sandbox).create(task.id, container.spec, io, timeoutMs);
      return sandbox.record.pid;
    },

    async start(sandbox, task, timeoutMs) {
      await runtimeOf(sandbox).start(task.id, timeoutMs);
      return task.record.pid;
    },

    async hasStarted(sandbox, task) {
      const fifo = execFifo(task.id);
      try {
        return !(await guestOf(sandbox).readFiles([fifo])).has(fifo);
      } catch (error) {
        if (!isCode(error, ErrorCode.UNAVAILABLE) && !isCode(error, ErrorCode.DEADLINE_EXCEEDED)) throw error;
        // Whoever waits for it is told, should it not run.
        return true;
      }
    },

    async startedExec(sandbox, task, execId) {
      const key = processKey(task.id, execId);
      try {
        const known = (await guestOf(sandbox).processes.list()).some((process) => process.key === key);
        return known ? sandbox.record.pid : undefined;
      } catch (error) {
        if (!isCode(error, ErrorCode.UNAVAILABLE) && !isCode(error, ErrorCode.DEADLINE_EXCEEDED)) throw error;
        return sandbox.record.pid;
      }
    },

    async delete(sandbox, task) {
      if (!task.initGone && !machines.isOver(sandbox)) {
        await engine.signal(sandbox, task, "", SIGKILL, false).catch(ignoreMissing);
      }
      await deleteContainer(sandbox, task);
    },

    discard: deleteContainer,

    async interrupt(sandbox, task) {
      await storage.interrupt(sandbox, task);
      if (!machines.isOver(sandbox)) await guestOf(sandbox).processes.cancel(task.id);
    },

    async startExec(sandbox, task, exec, timeoutMs) {
      const key = processKey(task.id, exec.id);
      const process = {
        ...guestProcess(JSON.parse(exec.spec ?? "{}") as object),
        terminal: exec.io.terminal,
      };
      const io = await stdio.open(sandbox, guestOf(sandbox), key, exec.io);
      try {
        await runtimeOf(sandbox).exec(task.id, exec.id, process, io, timeoutMs);
      } catch (error) {
        await stdio.close(sandbox, key);
        throw error;
      }
      return sandbox.record.pid;
    },

    deleteExec: (sandbox, task, execId) => stdio.close(sandbox, processKey(task.id, execId)),

    async wait(sandbox, task, execId) {
      const key = processKey(task.id, execId);
      const io = execId === "" ? task.record.io : task.exec(execId).io;
      // Its client sees the end of what it reads. What cannot be let go of now is with the task's removal; an exit is known.
      const letGo = () =>
        sandbox.monitor.release(key).catch((error: unknown) => {
          log.warn({ sandbox: sandbox.id, key, err: errorText(error) }, "the stdio of an ended process is kept");
        });
      try {
        const pump = stdio.pump(sandbox, key, io);
        const { guest } = machines.of(sandbox);
        const told = execId === "" && tellOom(guest, sandbox.monitor, task.id, cgroupOf(task.id), log);
        const { exit } = await guest.processes.wait(key);
        pump.ending();
        // What was to be said of it, and what it wrote, is there before anybody hears of its end.
        await Promise.race([told, sleep(LAST_EVENT_MS, undefined, { ref: false })]);
        await pump.drained;
        await letGo();
        return plausibleExit(exit, sandbox.record.createdAt);
      } catch (error) {
        if (!machines.isOver(sandbox)) throw error;
        // The machine was taken from under it, and nobody writes to its client any more.
        await letGo();
        return { status: 128 + SIGKILL, at: now() };
      }
    },

    async initExited(sandbox, task) {
      // What is in a pid namespace of the container's own the guest's kernel has ended.
      if (task.record.engine.pidSharing === "own" || machines.isOver(sandbox)) return;
      const path = `/sys/fs/cgroup${cgroupOf(task.id)}/cgroup.kill`;
      await unlessOver(sandbox, guestOf(sandbox).writeFiles([{ path, content: Buffer.from("1"), mode: 0 }]));
    },

    async signal(sandbox, task, execId, signal, all) {
      if (machines.isOver(sandbox)) throw notFound("process already finished");
      const ask = async () => {
        if (all) return await runtimeOf(sandbox).killAll(task.id, signal);
        try {
          await guestOf(sandbox).processes.signal(processKey(task.id, execId), signal);
        } catch (error) {
          throw isCode(error, ErrorCode.NOT_FOUND) ? notFound("process already finished") : error;
        }
      };
      if (signal === SIGKILL && execId === "") await killInit(machines, sandbox, task, ask, log);
      else await ask();
    },

    pause: (sandbox, task, timeoutMs) => runtimeOf(sandbox).pause(task.id, timeoutMs),
    resume: (sandbox, task, timeoutMs) => runtimeOf(sandbox).resume(task.id, timeoutMs),
    async update(sandbox, task, resources, timeoutMs) {
      // As a client understands it, what is answered to has come to be: a limit that is none is refused.
      const limits = changedLimits(task, resources as OciResources);
      await growth.makeRoom(sandbox, guestOf(sandbox), task, limits);
      growth.requireWithin(sandbox, `container ${task.id}`, limits);
      await runtimeOf(sandbox).update(task.id, guestResources(resources), timeoutMs);
      noteLimits(task, limits);
    },

    async checkpoint() {
      throw new SandboxError(ErrorCode.UNIMPLEMENTED, "checkpoint: not for containers in a virtual machine");
    },

    resize: (sandbox, task, execId, width, height) =>
      guestOf(sandbox).processes.resize(processKey(task.id, execId), width, height),

    async closeStdin(sandbox, task, execId) {
      machines.of(sandbox).pumps.get(processKey(task.id, execId))?.closeStdin();
    },

    // The guest's pids mean nothing on the host: the machine's own process stands for all of them.
    pids: (sandbox) => [sandbox.record.pid],

    async stats(sandbox, task) {
      const folder = `/sys/fs/cgroup${cgroupOf(task.id)}`;
      const files = await guestOf(sandbox).readFiles(CGROUP_FILES.map((name) => `${folder}/${name}`));
      if (!files.has(`${folder}/cgroup.procs`)) throw notFound(`cgroup does not exist: task ${task.id}`);
      return { version: 2, metrics: metricsV2((name) => files.get(`${folder}/${name}`), []) };
    },
  };
  return engine;
}

function ignoreMissing(error: unknown): void {
  if (!isCode(error, ErrorCode.NOT_FOUND)) throw error;
}
