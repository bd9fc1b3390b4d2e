/**
 * What the runc shim answers to calls that come one after the other (docs/conformance.md), by the states that they lead to.
 * But for one thing: to a Delete that is made again a sandboxer gives the same answer again, which its shim may have missed.
 */
export type Verb = "create" | "start" | "exec" | "kill" | "delete" | "pause" | "resume" | "state";

/** execId: "" for the task itself. */
export interface TaskCall {
  readonly verb: Verb;
  readonly id: string;
  readonly execId: string;
}

export type Status = "CREATED" | "RUNNING" | "STOPPED" | "PAUSED";

const OK = 0;
const UNKNOWN = 2;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const FAILED_PRECONDITION = 9;

interface Task {
  status: Status;
  readonly execs: Map<string, Status>;
  readonly deletedExecs: Set<string>;
}

export class TaskModel {
  private readonly tasks = new Map<string, Task>();
  private readonly deleted = new Set<string>();

  /** What State must tell; undefined for NOT_FOUND. */
  status(id: string, execId: string): Status | undefined {
    const task = this.tasks.get(id);
    const exec = task?.execs.get(execId);
    // The freezer has all of them.
    return execId === "" || (exec && task?.status === "PAUSED") ? task?.status : exec;
  }

  /** The code of the answer, after which the states are those that the call leads to. */
  expect({ verb, id, execId }: TaskCall): number {
    const task = this.tasks.get(id);
    if (verb === "create") return task ? ALREADY_EXISTS : this.create(id);
    if (!task) return verb === "delete" && execId === "" && this.deleted.has(id) ? OK : NOT_FOUND;
    if (verb === "exec") return addExec(task, execId);
    if (execId !== "" && verb !== "pause" && verb !== "resume") return this.expectExec(task, verb, execId);
    const { status } = task;
    const become = (next: Status, ...from: Status[]) => {
      if (!from.includes(status)) return UNKNOWN;
      task.status = next;
      return OK;
    };
    switch (verb) {
      case "start":
        return become("RUNNING", "CREATED");
      case "pause":
        return become("PAUSED", "RUNNING");
      case "resume":
        return become("RUNNING", "PAUSED");
      case "kill":
        // With `all`, which has nothing to refuse.
        task.status = "STOPPED";
        for (const [exec, state] of task.execs) if (state === "RUNNING") task.execs.set(exec, "STOPPED");
        return OK;
      case "delete":
        if (status === "RUNNING" || status === "PAUSED") return UNKNOWN;
        this.tasks.delete(id);
        this.deleted.add(id);
        return OK;
      default:
        return OK;
    }
  }

  private create(id: string): number {
    this.tasks.set(id, { status: "CREATED", execs: new Map(), deletedExecs: new Set() });
    this.deleted.delete(id);
    return OK;
  }

  private expectExec(task: Task, verb: Verb, execId: string): number {
    const state = task.execs.get(execId);
    if (!state) return verb === "delete" && task.deletedExecs.has(execId) ? OK : NOT_FOUND;
    if (verb === "start") {
      if (state !== "CREATED") return UNKNOWN;
      if (task.status === "STOPPED") return FAILED_PRECONDITION;
      task.execs.set(execId, "RUNNING");
    } else if (verb === "kill") {
      if (state !== "RUNNING") return state === "CREATED" ? FAILED_PRECONDITION : NOT_FOUND;
      task.execs.set(execId, "STOPPED");
    } else if (verb === "delete") {
      if (state === "RUNNING") return UNKNOWN;
      task.execs.delete(execId);
      task.deletedExecs.add(execId);
    }
    return OK;
  }
}

function addExec(task: Task, execId: string): number {
  if (task.execs.has(execId)) return ALREADY_EXISTS;
  if (task.status === "PAUSED" || task.status === "STOPPED") return UNKNOWN;
  task.execs.set(execId, "CREATED");
  task.deletedExecs.delete(execId);
  return OK;
}
