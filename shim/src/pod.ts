import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import type { Role } from "./bundle.ts";
import type { OomWatch } from "./oom-watch.ts";

/** How a process ended, as google.protobuf.Timestamp and containerd's exit statuses have it. */
export interface Exit {
  readonly status: number;
  readonly exitedAt: { readonly seconds: number; readonly nanos: number };
}

export interface TaskIo {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Go's zero time. */
const NEVER_RAN: Exit = { status: 255, exitedAt: { seconds: -62_135_596_800, nanos: 0 } };

/** The init process of a task, or one that was exec'd into it: what the shim must know to publish its events. */
export class PodProcess {
  pid = 0;
  /** The event before the exit (TaskCreate, TaskStart) is out, so that the exit may follow. */
  announced = false;
  /** A Start has succeeded. */
  started = false;
  exit: Exit | undefined;
  private failed = false;
  private readonly waiters: Array<(exit: Exit) => void> = [];

  constructor(
    readonly task: PodTask,
    /** "" for the init process. */
    readonly execId: string,
    readonly io: TaskIo,
  ) {}

  exited(): Promise<Exit> {
    const exit = this.exit ?? (this.failed && !this.started ? NEVER_RAN : undefined);
    return exit ? Promise.resolve(exit) : new Promise((resolve) => this.waiters.push(resolve));
  }

  setExit(exit: Exit): void {
    this.exit = exit;
    for (const resolve of this.waiters.splice(0)) resolve(exit);
  }

  /** Its start has failed: nothing will come of waiting for it, now or later. */
  neverRan(): void {
    this.failed = true;
    for (const resolve of this.waiters.splice(0)) resolve(NEVER_RAN);
  }
}

/** A container of the pod, from the moment that its Create succeeded until its Delete did. */
export class PodTask {
  readonly init: PodProcess;
  /** Its Create has succeeded; until then its id is taken, and it is not there for anybody else. */
  created = false;
  /** Between a Pause and its Resume. */
  paused = false;
  /** Nothing is left of it but the answer to its Delete. */
  removed = false;
  readonly execs = new Map<string, PodProcess>();
  oomWatch: OomWatch | undefined;
  /** Processes killed for lack of memory in a virtual machine, where no watch of this host's sees them. */
  oomKills = 0;
  oomKillsTold = 0;

  constructor(
    readonly id: string,
    readonly role: Role,
    readonly bundle: string,
    io: TaskIo,
  ) {
    this.init = new PodProcess(this, "", io);
  }

  /** NOT_FOUND for an exec id that nobody has added. */
  process(execId: string): PodProcess {
    if (execId === "") return this.init;
    const process = this.execs.get(execId);
    if (!process) throw new StatusError(Code.NOT_FOUND, `process does not exist ${execId}`);
    return process;
  }

  addExec(execId: string, io: TaskIo): void {
    this.execs.set(execId, new PodProcess(this, execId, io));
  }

  /** Settles when none of the processes exec'd into the task runs any more. */
  async execsExited(): Promise<void> {
    for (const exec of this.execs.values()) if (exec.pid) await exec.exited();
  }
}

/** A container that has been deleted, and what was answered. */
interface DeletedTask {
  readonly task: PodTask;
  readonly answer: Uint8Array;
}

/** What one shim process serves: a sandbox, and its containers. */
export class Pod {
  readonly tasks = new Map<string, PodTask>();
  /** Answers of Deletes of execs whose caller had gone by then, under "id/exec id". */
  readonly deletedExecs = new Map<string, Uint8Array>();
  private readonly deleted = new Map<string, DeletedTask>();
  /** Made through the Sandbox API (sandbox_mode = "shim"): ends with ShutdownSandbox, not with its last task. */
  sandboxApi = false;
  /** Shutdown was called, perhaps while something was still being made. */
  shutdownAsked = false;
  /** Called when there is nothing left that the shim is for, or soon may be. */
  onUnused: () => void = () => {};
  /** The pause container has been deleted. Containers outlive it; but it may be that nobody asks for their end. */
  sandboxGone = false;

  constructor(
    readonly namespace: string,
    readonly sandboxId: string,
  ) {}

  /** NOT_FOUND with the runc shim's words, which clients look for. */
  task(id: string): PodTask {
    const task = this.tasks.get(id);
    if (!task?.created) throw new StatusError(Code.NOT_FOUND, "container not created");
    return task;
  }

  /** Nothing is left that the shim is there for, and it has been told to go. */
  get done(): boolean {
    return this.shutdownAsked && !this.inUse;
  }

  get inUse(): boolean {
    return this.sandboxApi || this.tasks.size > 0;
  }

  /**
   * Whatever tasks are left have ended, and containerd has removed their bundles: it will not ask for them. Or they are
   * still being made, by an OCI runtime that hangs perhaps, in a pod whose pause container has been deleted meanwhile.
   */
  get forgotten(): boolean {
    const isForgotten = ({ created, init, bundle }: PodTask) =>
      created ? init.exit !== undefined && !sys.stat(bundle) : this.sandboxGone;
    return !this.sandboxApi && [...this.tasks.values()].every(isForgotten);
  }

  add(task: PodTask): void {
    this.shutdownAsked = false;
    this.sandboxGone &&= task.role !== "sandbox";
    this.deleted.delete(task.id);
    this.tasks.set(task.id, task);
  }

  /**
   * A container has been deleted. Its end is known for as long as its bundle is there: a containerd that was killed
   * before it took the answer and removed the bundle asks again, from the beginning.
   */
  remove(task: PodTask, answer: Uint8Array): void {
    for (const [id, { task: former }] of this.deleted) if (!sys.stat(former.bundle)) this.deleted.delete(id);
    for (const key of this.deletedExecs.keys()) if (key.startsWith(`${task.id}/`)) this.deletedExecs.delete(key);
    this.sandboxGone ||= task.role === "sandbox";
    this.drop(task.id);
    if (this.sandboxGone) this.onUnused();
    this.deleted.set(task.id, { task, answer });
  }

  /** Nothing has come of the task. */
  drop(id: string): void {
    if (this.tasks.delete(id) && !this.inUse) this.onUnused();
  }

  /** What was answered to the container's Delete, if it has been deleted and not made again. */
  deletedTask(id: string): DeletedTask | undefined {
    return this.tasks.has(id) ? undefined : this.deleted.get(id);
  }

  /** As task, but also one that has been deleted. */
  presentOrDeleted(id: string): PodTask {
    return this.deletedTask(id)?.task ?? this.task(id);
  }
}
