import type { Metadata } from "ttrpc-ts";
import type { ExitWatch } from "./exit-watch.ts";
import type { Log } from "./log.ts";
import type { Pod } from "./pod.ts";
import type { SandboxCalls } from "./sandbox-calls.ts";
import type { SandboxerConnection } from "./sandboxer-connection.ts";
import type { TaskEvents } from "./task-events.ts";

/** What the shim's services stand on; serve.ts puts it together. */
export interface ServiceParts {
  readonly pod: Pod;
  readonly sandboxer: SandboxerConnection;
  readonly sandboxCalls: SandboxCalls;
  readonly events: TaskEvents;
  readonly exits: ExitWatch;
  readonly log: Log;
  /** What a sandboxer is told beside CreateSandbox: where this process's own Monitor answers, and where containerd does. */
  readonly sandboxMetadata: Metadata;
  /** Called when containerd wants the shim to end, and nothing is left that it serves. */
  readonly onShutdown: () => void;
}
