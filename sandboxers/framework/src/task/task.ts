import { ErrorCode, notFound, SandboxError } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import { createDeferred, type Deferred } from "../sandbox/deferred.ts";
import { type Exit, unknownExit } from "../sandbox/exit.ts";
import type { SandboxName, StateStore } from "../store/state-store.ts";
import { attempt } from "../store/unwritten.ts";
import { canExecBecome, type ExecState } from "./exec-state.ts";
import type { ExecRecord, TaskRecord } from "./task-record.ts";
import { canTaskBecome } from "./task-state.ts";

const KEPT_EXEC_ANSWERS = 8;

/** A task in memory: its record, which is stored at every change, and who waits for its processes. */
export class Task {
  /** The init process is gone, though what it leaves behind may not be yet: no exec starts any more. */
  initGone = false;
  #discarded = false;
  readonly #store: StateStore;
  readonly #sandbox: SandboxName;
  readonly #exits = new Map<string, Deferred<Exit>>();
  #record: TaskRecord;

  constructor(store: StateStore, sandbox: SandboxName, record: TaskRecord) {
    this.#store = store;
    this.#sandbox = sandbox;
    this.#record = record;
  }

  get record(): TaskRecord {
    return this.#record;
  }

  get id(): string {
    return this.#record.id;
  }

  get bundle(): string {
    return this.#record.bundle;
  }

  save(): void {
    this.#store.saveTask(this.#sandbox, this.#record);
  }

  /** Removes the record from the store for good; what still happens to the task is only remembered in memory. */
  discard(): void {
    this.#discarded = true;
    this.#store.removeTask(this.#sandbox, this.id);
  }

  /** Stores the changed record, then makes it this task's. */
  update(change: Partial<Omit<TaskRecord, "version" | "id" | "execs" | "deletedExecs">>): void {
    this.#checkState(change.state);
    this.#replace({ ...this.#record, ...change });
  }

  /** As Sandbox.note. */
  note(change: Partial<Pick<TaskRecord, "state" | "exit" | "engine">>): unknown {
    this.#checkState(change.state);
    return this.#note({ ...this.#record, ...change });
  }

  /** NOT_FOUND, with the runc shim's text, if there is none. */
  exec(execId: string): ExecRecord {
    const exec = Object.hasOwn(this.#record.execs, execId) ? this.#record.execs[execId] : undefined;
    if (exec === undefined) {
      throw notFound(`process does not exist ${quote(execId)}`);
    }
    return exec;
  }

  hasExec(execId: string): boolean {
    return Object.hasOwn(this.#record.execs, execId);
  }

  addExec(exec: ExecRecord): void {
    const deletedExecs = this.#record.deletedExecs.filter(({ id }) => id !== exec.id);
    this.#replace({ ...this.#record, execs: { ...this.#record.execs, [exec.id]: exec }, deletedExecs });
    this.#exits.delete(exec.id);
  }

  updateExec(execId: string, change: Partial<Omit<ExecRecord, "id" | "io">> & { state: ExecState }): void {
    this.#replace(this.#withExec(execId, change));
  }

  /** As Sandbox.note. */
  noteExec(execId: string, change: Pick<ExecRecord, "state" | "exit">): unknown {
    return this.#note(this.#withExec(execId, change));
  }

  #withExec(execId: string, change: Partial<Omit<ExecRecord, "id" | "io">> & { state: ExecState }): TaskRecord {
    const exec = this.exec(execId);
    if (!canExecBecome(exec.state, change.state)) {
      throw new SandboxError(
        ErrorCode.FAILED_PRECONDITION,
        `exec ${execId} of task ${this.id} is ${exec.state}, not to be ${change.state}`,
      );
    }
    return { ...this.#record, execs: { ...this.#record.execs, [execId]: { ...exec, ...change } } };
  }

  #checkState(next: TaskRecord["state"] | undefined): void {
    const { state } = this.#record;
    if (next !== undefined && !canTaskBecome(state, next)) {
      throw new SandboxError(ErrorCode.FAILED_PRECONDITION, `task ${this.id} is ${state}, not to be ${next}`);
    }
  }

  /** Forgets the exec, but for the answer that a repeated Delete is given. Answers as `note`. */
  removeExec(execId: string): unknown {
    const { [execId]: gone, ...execs } = this.#record.execs;
    if (gone === undefined) {
      return undefined;
    }
    const answer = { id: execId, pid: gone.pid, ...(gone.exit && { exit: gone.exit }) };
    const deletedExecs = [...this.#record.deletedExecs, answer].slice(-KEPT_EXEC_ANSWERS);
    const unwritten = this.#note({ ...this.#record, execs, deletedExecs });
    this.exit(execId).resolve(gone.exit ?? unknownExit());
    this.#exits.delete(execId);
    return unwritten;
  }

  /** Settles when the process's exit has been recorded; exec id "" is the init process. */
  exit(execId: string): Deferred<Exit> {
    let exit = this.#exits.get(execId);
    if (exit === undefined) {
      exit = createDeferred();
      this.#exits.set(execId, exit);
    }
    return exit;
  }

  /** Nothing comes of this start: who waits is told, and who waits from now on waits for the next one. */
  execNeverRan(execId: string): void {
    this.exit(execId).resolve(unknownExit());
    this.#exits.delete(execId);
  }

  #note(next: TaskRecord): unknown {
    this.#record = next;
    return this.#discarded ? undefined : attempt(() => this.#store.saveTask(this.#sandbox, next));
  }

  #replace(next: TaskRecord): void {
    if (!this.#discarded) {
      this.#store.saveTask(this.#sandbox, next);
    }
    this.#record = next;
  }
}
