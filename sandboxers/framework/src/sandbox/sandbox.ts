import type { Monitor } from "../monitor/monitor.ts";
import type { StateStore } from "../store/state-store.ts";
import { attempt } from "../store/unwritten.ts";
import type { Task } from "../task/task.ts";
import { createDeferred, type Deferred } from "./deferred.ts";
import type { Exit } from "./exit.ts";
import type { SandboxRecord } from "./sandbox-record.ts";
import { checkSandboxTransition } from "./sandbox-state.ts";

type SandboxChange = Partial<Omit<SandboxRecord, "version" | "id" | "namespace" | "kind">>;

/** A sandbox in memory: its record, which is stored at every change, its monitor and its tasks. */
export class Sandbox {
  readonly tasks = new Map<string, Task>();
  /** Settles when the sandbox has ended, with how. */
  readonly exited: Deferred<Exit> = createDeferred();
  monitor: Monitor;
  readonly #store: StateStore;
  #record: SandboxRecord;

  constructor(store: StateStore, record: SandboxRecord, monitor: Monitor) {
    this.#store = store;
    this.#record = record;
    this.monitor = monitor;
  }

  get record(): SandboxRecord {
    return this.#record;
  }

  get id(): string {
    return this.#record.id;
  }

  get namespace(): string {
    return this.#record.namespace;
  }

  /** `namespace/id`: unique among all sandboxes. */
  get key(): string {
    return `${this.#record.namespace}/${this.#record.id}`;
  }

  /** Where the sandbox's own files are kept; it goes with the sandbox. */
  get directory(): string {
    return this.#store.directory(this.#record);
  }

  /** Whether there are tasks in it that nobody has deleted. */
  hasTasks(): boolean {
    return [...this.tasks.values()].some(({ record }) => record.state !== "deleted");
  }

  get store(): StateStore {
    return this.#store;
  }

  /** Stores the changed record, then makes it this sandbox's. FAILED_PRECONDITION for a state out of order. */
  update(change: SandboxChange): void {
    const next = this.#changed(change);
    this.#store.saveSandbox(next);
    this.#record = next;
  }

  /**
   * The same for what has happened already, or must happen in any case: where nothing can be stored (a full disk), it is
   * known for as long as this process lives. Answers with the store's error.
   */
  note(change: SandboxChange): unknown {
    this.#record = this.#changed(change);
    return attempt(() => this.#store.saveSandbox(this.#record));
  }

  #changed(change: SandboxChange): SandboxRecord {
    if (change.state !== undefined) {
      checkSandboxTransition(this.id, this.#record.state, change.state);
    }
    return { ...this.#record, ...change };
  }
}
