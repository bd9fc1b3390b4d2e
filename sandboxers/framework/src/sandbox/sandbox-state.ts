import { ErrorCode, SandboxError } from "../error/sandbox-error.ts";

/**
 * creating -> created -> starting -> ready -> stopped, and `deleting` from everywhere. A sandbox that can stand still as a
 * whole goes from ready to `paused`, before it does so, and back when it has gone on.
 * A sandbox in `creating` or `deleting` that is found at start-up is undone.
 */
export type SandboxState = "creating" | "created" | "starting" | "ready" | "paused" | "stopped" | "deleting";

const NEXT: Record<SandboxState, readonly SandboxState[]> = {
  creating: ["created", "deleting"],
  created: ["starting", "stopped", "deleting"],
  starting: ["ready", "created", "stopped", "deleting"],
  ready: ["paused", "stopped", "deleting"],
  paused: ["ready", "stopped", "deleting"],
  stopped: ["deleting"],
  deleting: [],
};

export function isSandboxState(value: unknown): value is SandboxState {
  return typeof value === "string" && Object.hasOwn(NEXT, value);
}

/** Throws FAILED_PRECONDITION if a sandbox in `from` cannot come to `to`. Staying in a state is always allowed. */
export function checkSandboxTransition(id: string, from: SandboxState, to: SandboxState): void {
  if (from !== to && !NEXT[from].includes(to)) {
    throw new SandboxError(ErrorCode.FAILED_PRECONDITION, `sandbox ${id} is ${from} and cannot become ${to}`);
  }
}

/** The words CRI uses for a sandbox's state. One that is paused is there: the kubelet would make another in its place. */
export function criState(state: SandboxState): "SANDBOX_READY" | "SANDBOX_NOTREADY" {
  return state === "ready" || state === "paused" ? "SANDBOX_READY" : "SANDBOX_NOTREADY";
}

/** The words of its pause container's task. */
export function taskState(state: SandboxState): "created" | "running" | "paused" | "stopped" {
  return state === "ready" ? "running" : state === "paused" || state === "stopped" ? state : "created";
}
