import type { CgroupMetrics } from "../cgroup/stats.ts";
import type { Mount } from "../monitor/monitor.ts";
import type { Exit } from "../sandbox/exit.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { TypedBytes } from "../sandbox/typed-bytes.ts";
import type { JsonObject } from "../store/json.ts";
import type { Task } from "./task.ts";
import type { ExecRecord, TaskIo } from "./task-record.ts";

/**
 * How tasks run in the sandboxes of one kind. A step is recorded before its method is called; create, start, delete,
 * pause, resume, update, checkpoint and startExec of one task never overlap, all others may come at any time.
 * `timeoutMs` is what the caller has left, 0 for no limit.
 */
export interface TaskEngine {
  /** Makes the container with its init process waiting to be started; answers with its pid (host namespace), 0 if it gets one at start. */
  create(sandbox: Sandbox, task: Task, request: TaskRequest, timeoutMs: number): Promise<number>;
  /** Answers with the pid, which a task that is restored gets only now. */
  start(sandbox: Sandbox, task: Task, timeoutMs: number): Promise<number>;
  /** For a task that was being started when the sandboxer ended: whether the start took place. */
  hasStarted(sandbox: Sandbox, task: Task): Promise<boolean>;
  /**
   * For an exec that was being started when the sandboxer ended: its pid, undefined if there is no such process. Where this
   * is left out, the sandbox's monitor knows.
   */
  startedExec?(sandbox: Sandbox, task: Task, execId: string): Promise<number | undefined>;
  /** Removes a container whose init process has exited, or has not been started. */
  delete(sandbox: Sandbox, task: Task): Promise<void>;
  /** Removes whatever there is of the container: running, exited or half made. Harmless if there is nothing. */
  discard(sandbox: Sandbox, task: Task): Promise<void>;
  /** Has whatever is being done to the container now fail soon: it has taken too long, or the container is to go. */
  interrupt(sandbox: Sandbox, task: Task): Promise<void>;
  /** Answers with the pid of the new process in the container, in the host's namespace. */
  startExec(sandbox: Sandbox, task: Task, exec: ExecRecord, timeoutMs: number): Promise<number>;
  deleteExec(sandbox: Sandbox, task: Task, execId: string): Promise<void>;
  /** Answers when the init process (exec id "") or an exec has exited, however long that takes. */
  wait(sandbox: Sandbox, task: Task, execId: string): Promise<Exit>;
  /** Ends whatever outlives the init process, before its exit is made known. */
  initExited(sandbox: Sandbox, task: Task): Promise<void>;
  /** NOT_FOUND "process already finished" if so. `all` reaches every process of the container. */
  signal(sandbox: Sandbox, task: Task, execId: string, signal: number, all: boolean): Promise<void>;
  pause(sandbox: Sandbox, task: Task, timeoutMs: number): Promise<void>;
  resume(sandbox: Sandbox, task: Task, timeoutMs: number): Promise<void>;
  update(sandbox: Sandbox, task: Task, resources: JsonObject, timeoutMs: number): Promise<void>;
  checkpoint(sandbox: Sandbox, task: Task, request: CheckpointRequest, timeoutMs: number): Promise<void>;
  /** Of a process with a terminal; without one it is no error. */
  resize(sandbox: Sandbox, task: Task, execId: string, width: number, height: number): Promise<void>;
  closeStdin(sandbox: Sandbox, task: Task, execId: string): Promise<void>;
  /** All processes of the container, in the host's pid namespace. */
  pids(sandbox: Sandbox, task: Task): number[];
  stats(sandbox: Sandbox, task: Task): Promise<CgroupMetrics>;
}

/** A checked request for a task. */
export interface TaskRequest {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: readonly Mount[];
  readonly io: TaskIo;
  /** Folder of the checkpoint to restore; "" to start afresh. */
  readonly checkpoint: string;
  readonly parentCheckpoint: string;
  readonly options?: TypedBytes;
}

export interface CheckpointRequest {
  readonly path: string;
  readonly workPath: string;
  readonly exit: boolean;
  readonly openTcp: boolean;
  readonly externalUnixSockets: boolean;
  readonly terminal: boolean;
  readonly fileLocks: boolean;
  readonly emptyNamespaces: readonly string[];
}
