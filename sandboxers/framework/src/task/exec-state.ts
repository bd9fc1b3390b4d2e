import { ErrorCode, failedPrecondition, notFound, SandboxError, unknown } from "../error/sandbox-error.ts";

/** The life of a process added to a container. Contract: containerd's `pkg/process/exec_state.go`. */
export type ExecState = "created" | "starting" | "running" | "stopped" | "deleted";

const NEXT: Record<ExecState, readonly ExecState[]> = {
  created: ["starting", "stopped", "deleted"],
  starting: ["created", "running", "stopped"],
  running: ["stopped"],
  stopped: ["deleted"],
  deleted: [],
};

export type ExecVerb = "start" | "delete" | "resize" | "kill";

export function isExecState(value: unknown): value is ExecState {
  return typeof value === "string" && Object.hasOwn(NEXT, value);
}

export function canExecBecome(from: ExecState, to: ExecState): boolean {
  return from === to || NEXT[from].includes(to);
}

/** Throws what the runc shim answers, if an exec in this state cannot do this. */
export function checkExecVerb(state: ExecState, verb: ExecVerb): void {
  switch (verb) {
    case "start":
      if (state === "running") {
        throw unknown("cannot start a running process");
      }
      if (state === "stopped") {
        throw unknown("cannot start a stopped process");
      }
      if (state === "starting") {
        throw new SandboxError(ErrorCode.ABORTED, "the process is being started by another call");
      }
      return;
    case "delete":
      if (state === "running" || state === "starting") {
        throw unknown("cannot delete a running process");
      }
      return;
    case "resize":
      if (state === "stopped") {
        throw unknown("cannot resize a stopped container");
      }
      return;
    case "kill":
      if (state === "created" || state === "starting") {
        throw failedPrecondition("process not created");
      }
      if (state === "stopped") {
        throw notFound("process already finished");
      }
  }
}
