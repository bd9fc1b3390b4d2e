import { notFound, type SandboxError, unknown } from "../error/sandbox-error.ts";

/**
 * The life of a container's init process, with containerd's names. `creating`, `starting` and `deleting` say what was
 * under way, so that a restarted sandboxer can finish or undo it; callers see them as `created`, `created`, `stopped`.
 * Contract: containerd's `pkg/process/init_state.go`.
 */
export type TaskState =
  | "creating"
  | "created"
  | "starting"
  | "running"
  | "pausing"
  | "paused"
  | "stopped"
  | "deleting"
  | "deleted";

const NEXT: Record<TaskState, readonly TaskState[]> = {
  creating: ["created", "stopped", "deleting"],
  created: ["starting", "stopped", "deleting"],
  starting: ["running", "created", "stopped", "deleting"],
  running: ["pausing", "stopped", "deleting"],
  pausing: ["paused", "running", "stopped", "deleting"],
  paused: ["running", "stopped", "deleting"],
  stopped: ["deleting"],
  deleting: ["stopped", "deleted"],
  deleted: [],
};

/** What a caller may ask of a task. */
export type TaskVerb = "start" | "delete" | "pause" | "resume" | "update" | "checkpoint" | "exec";

/** How a caller sees a state. */
export type VisibleState = "created" | "running" | "pausing" | "paused" | "stopped";

const VISIBLE: Record<TaskState, VisibleState> = {
  creating: "created",
  created: "created",
  starting: "created",
  running: "running",
  pausing: "pausing",
  paused: "paused",
  stopped: "stopped",
  deleting: "stopped",
  deleted: "stopped",
};

type Refusals = Partial<Record<VisibleState, string>>;

// The texts are the runc shim's own, and so is their code, UNKNOWN: clients have learned to read both.
const REFUSED: Record<TaskVerb, Refusals> = {
  start: {
    running: "cannot start a running process",
    pausing: "cannot start a running process",
    paused: "cannot start a paused process",
    stopped: "cannot start a stopped process",
  },
  delete: {
    running: "cannot delete a running process",
    pausing: "cannot delete a running process",
    paused: "cannot delete a paused process",
  },
  pause: {
    created: "cannot pause task in created state",
    pausing: "cannot pause a paused container",
    paused: "cannot pause a paused container",
    stopped: "cannot pause a stopped container",
  },
  resume: {
    created: "cannot resume task in created state",
    running: "cannot resume a running process",
    pausing: "cannot resume a running process",
    stopped: "cannot resume a stopped container",
  },
  update: { stopped: "cannot update a stopped container" },
  checkpoint: {
    created: "cannot checkpoint a task in created state",
    stopped: "cannot checkpoint a stopped container",
  },
  exec: {
    pausing: "cannot exec in a paused state",
    paused: "cannot exec in a paused state",
    stopped: "cannot exec in a stopped state",
  },
};

export function isTaskState(value: unknown): value is TaskState {
  return typeof value === "string" && Object.hasOwn(NEXT, value);
}

export function visibleState(state: TaskState): VisibleState {
  return VISIBLE[state];
}

/** Throws what the runc shim answers, if a task in this state cannot do this. */
export function checkTaskVerb(id: string, state: TaskState, verb: TaskVerb): void {
  if (state === "deleted") {
    throw taskNotFound(id);
  }
  const refusal = REFUSED[verb][VISIBLE[state]];
  if (refusal !== undefined) {
    throw unknown(refusal);
  }
}

/** Whether a task in `from` can come to `to`; staying is always possible. */
export function canTaskBecome(from: TaskState, to: TaskState): boolean {
  return from === to || NEXT[from].includes(to);
}

export function taskNotFound(id: string): SandboxError {
  return notFound(`container not created: no task ${JSON.stringify(id)}`);
}
