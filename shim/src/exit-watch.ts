import { containerd } from "@kuasar/proto/shim";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import type { Log } from "./log.ts";
import type { ProcessTable } from "./monitor/process-table.ts";
import { startTimer } from "./platform/loop.ts";
import type { Exit, PodProcess } from "./pod.ts";
import type { SandboxerConnection } from "./sandboxer-connection.ts";
import type { TaskEvents } from "./task-events.ts";

/** Sees to it that each process's exit is known once, and published once, after its start. */
export interface ExitWatch {
  /** From now on the sandboxer is asked for the process's end. */
  watch(process: PodProcess): void;
  /** Publishes what comes before an exit (if there is anything), then the exit, if it has happened already. */
  announce(process: PodProcess, publish?: () => void): void;
}

const TASK = "containerd.task.v2.Task";
const SANDBOX = "containerd.runtime.sandbox.v1.Sandbox";
const UNKNOWN_STATUS = 255;

export function createExitWatch(
  sandboxer: SandboxerConnection,
  table: ProcessTable,
  events: TaskEvents,
  log: Log,
): ExitWatch {
  const ask = async (process: PodProcess): Promise<Exit> => {
    const { id, role } = process.task;
    if (role === "sandbox") {
      const { runtime } = containerd;
      const request = runtime.sandbox.v1.WaitSandboxRequest.encode({ sandboxId: id });
      const answer = await sandboxer.callUntilAnswered(SANDBOX, "WaitSandbox", request);
      return toExit(runtime.sandbox.v1.WaitSandboxResponse.decode(answer));
    }
    const { task } = containerd;
    const request = task.v2.WaitRequest.encode({ id, execId: process.execId });
    return toExit(task.v2.WaitResponse.decode(await sandboxer.callUntilAnswered(TASK, "Wait", request)));
  };

  /** The sandboxer may have lost its records; the monitor in this process has not. */
  const recall = async (process: PodProcess, error: unknown): Promise<Exit> => {
    const key = process.execId ? `${process.task.id}/${process.execId}` : process.task.id;
    log.warn("the sandboxer cannot tell how a process ended", { key, error });
    if (!table.find(key)) return { status: UNKNOWN_STATUS, exitedAt: now() };
    const { exit } = await table.wait(key);
    return exit ? { status: exit.status, exitedAt: exit } : { status: UNKNOWN_STATUS, exitedAt: now() };
  };

  const publishExit = async (process: PodProcess, exit: Exit) => {
    // The init process's exit is a container's last event but its deletion.
    if (process.execId === "") await process.task.execsExited();
    process.setExit(exit);
    if (process.announced) tell(process);
  };

  const told = new WeakSet<PodProcess>();
  const tell = (process: PodProcess) => {
    if (told.has(process)) return;
    told.add(process);
    events.exited(process);
  };

  return {
    watch(process) {
      const follow = () =>
        ask(process)
          .catch((error) => recall(process, error))
          .then((exit) => publishExit(process, exit))
          .catch((error) => log.error("an exit was not published", { id: process.task.id, error }));
      // When the answer to the call that made the process has gone out.
      startTimer(follow, 0);
    },
    announce(process, publish) {
      publish?.();
      process.announced = true;
      if (process.exit) tell(process);
    },
  };
}

function toExit(response: {
  exitStatus: number;
  exitedAt?: { seconds?: number | null | undefined; nanos?: number | null | undefined } | null | undefined;
}): Exit {
  const { exitStatus, exitedAt } = response;
  return {
    status: exitStatus,
    exitedAt: exitedAt ? { seconds: exitedAt.seconds ?? 0, nanos: exitedAt.nanos ?? 0 } : now(),
  };
}

function now(): Exit["exitedAt"] {
  const [seconds, nanos] = sys.realtime();
  return { seconds, nanos };
}

export function requireExit(process: PodProcess): Exit {
  if (!process.exit) throw new StatusError(Code.FAILED_PRECONDITION, `process ${process.pid} has not exited`);
  return process.exit;
}
