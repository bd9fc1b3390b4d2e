import type { Exit } from "../sandbox/exit.ts";
import type { JsonObject } from "../store/json.ts";
import type { ExecState } from "./exec-state.ts";
import type { TaskState } from "./task-state.ts";

/** Paths of FIFOs or files, or URIs, as containerd hands them over; "" for none. */
export interface TaskIo {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** What is stored of a task, in `DIR/<namespace>/<sandbox>/tasks/<id>.json`. */
export interface TaskRecord {
  readonly version: 1;
  readonly id: string;
  readonly state: TaskState;
  readonly bundle: string;
  readonly io: TaskIo;
  /** In the host's pid namespace; 0 before there is a process. */
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly startTime: number;
  readonly exit?: Exit;
  readonly execs: Readonly<Record<string, ExecRecord>>;
  /** The last answers to Delete of an exec, for a caller that missed one. */
  readonly deletedExecs: readonly DeletedExec[];
  /** What the kind of sandboxer keeps for itself. */
  readonly engine: JsonObject;
}

export interface ExecRecord {
  readonly id: string;
  readonly state: ExecState;
  readonly io: TaskIo;
  readonly pid: number;
  readonly startTime: number;
  readonly exit?: Exit;
  /** The OCI process, as JSON text; dropped once it runs. */
  readonly spec?: string;
}

export interface DeletedExec {
  readonly id: string;
  readonly pid: number;
  readonly exit?: Exit;
}

/** The key under which the monitor knows a process of a task. */
export function processKey(taskId: string, execId = ""): string {
  return execId === "" ? taskId : `${taskId}/${execId}`;
}
