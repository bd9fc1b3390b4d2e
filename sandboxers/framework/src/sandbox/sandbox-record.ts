import type { JsonObject } from "../store/json.ts";
import type { Exit, Timestamp } from "./exit.ts";
import type { SandboxState } from "./sandbox-state.ts";

/** What is stored of a sandbox, in `DIR/<namespace>/<id>/sandbox.json`. */
export interface SandboxRecord {
  readonly version: 1;
  /** The kind of sandboxer that made it: "runc". */
  readonly kind: string;
  readonly namespace: string;
  readonly id: string;
  readonly state: SandboxState;
  /** The bundle that containerd made for the sandbox; "" where it made none. */
  readonly bundle: string;
  /** Holds one container that came without a pod. */
  readonly lone: boolean;
  readonly netnsPath: string;
  /** Where the sandbox's monitor answers: `unix:///path`. */
  readonly monitorAddress: string;
  /** The gRPC socket of the containerd whose sandbox it is, where that is known. */
  readonly containerdAddress?: string;
  /** The monitor was started by the sandboxer itself. */
  readonly ownMonitor?: boolean;
  /** The monitor died before the sandbox did: what is left of the sandbox waits to be removed. */
  readonly orphaned?: boolean;
  readonly createdAt: Timestamp;
  /** In the host's pid namespace; 0 where the sandbox has no process of its own. */
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly startTime: number;
  readonly exit?: Exit;
  /** Why it ended, where nobody had asked for that. */
  readonly endReason?: string;
  /** Kubernetes' names, where the request had them. */
  readonly pod?: { readonly podName: string; readonly podNamespace: string };
  /** What the kind of sandboxer keeps for itself. */
  readonly engine: JsonObject;
}
