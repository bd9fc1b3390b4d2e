import type { SandboxerMetric } from "../metrics/sandboxer-metric.ts";
import type { Mount } from "../monitor/monitor.ts";
import type { PodConfig } from "../pause/pod-config.ts";
import type { JsonObject } from "../store/json.ts";
import type { TaskEngine } from "../task/task-engine.ts";
import type { SandboxExit } from "./exit.ts";
import type { MachineCommand, MachineProcess } from "./machine-process.ts";
import type { Sandbox } from "./sandbox.ts";
import type { TypedBytes } from "./typed-bytes.ts";

/**
 * What a kind of sandboxer is: how a sandbox of its kind comes and goes, and how tasks run in it. States, records,
 * locks, waits and recovery are the framework's; by the time one of these methods is called, the step is recorded and
 * nothing else is being done to that sandbox. Everything throws SandboxError.
 */
export interface Sandboxer {
  /** "runc": part of the store's format. */
  readonly kind: string;
  /** The platform of the containers, in Go's words. */
  readonly platform: Platform;
  readonly tasks: TaskEngine;
  /**
   * The sandbox's process is one among the pod's, and a signal to it is for it alone: containers with pids of their own
   * outlive it. Where this is left out a signal stops the whole sandbox, in order, as a virtual machine wants it.
   */
  readonly takesSignals?: true;
  /** What the monitor knows the sandbox's process by, where that is not the sandbox's id. */
  readonly processKey?: string;
  /**
   * Tasks are within the sandbox's process, and end with it: a removal ends that first, and then asks nobody in it. No
   * monitor of the host's has processes of theirs.
   */
  readonly holdsTasks?: true;
  /** What can be done to a sandbox as a whole; left out where it is no more than its processes. */
  readonly whole?: WholeSandbox;
  /** What there is to know of a sandbox that runs beside what the framework tells: for `crictl inspectp`. */
  describe?(sandbox: Sandbox): JsonObject;
  /** For Prometheus, beside the framework's own. */
  readonly metrics?: readonly SandboxerMetric[];
  /** Called first, once the state folder is this process's own: removes what an earlier one has left half made there. */
  tidy?(): void;
  /** Checks the runtime options, before anything is made. INVALID_ARGUMENT, naming what is wrong. */
  parseOptions(options: TypedBytes | undefined): JsonObject;
  /** Prepares what the sandbox needs before it starts. On an error the framework calls `remove`. */
  create(sandbox: Sandbox, request: SandboxRequest): Promise<void>;
  /**
   * Answers with the pid of the sandbox's process, in the host's pid namespace; 0 if it has none. `timeoutMs` is what the
   * caller has left, 0 for no limit.
   */
  start(sandbox: Sandbox, timeoutMs: number): Promise<number>;
  /** Has a start that is under way fail soon: the sandbox is to end. Harmless if none is. */
  interruptStart?(sandbox: Sandbox): void;
  /**
   * Undoes what is left of a start that a former process of this sandboxer was killed over: it takes more than a process to
   * be there. Where this is left out, a start took place if the monitor knows the process.
   */
  undoStart?(sandbox: Sandbox): Promise<void>;
  /** Answers when the sandbox's process has ended, however long that takes. Not called for a pid of 0. */
  wait(sandbox: Sandbox): Promise<SandboxExit>;
  /** Has the sandbox's process end, if it has one; `wait` then answers. Harmless if it has ended. */
  stop(sandbox: Sandbox, timeoutMs: number): Promise<void>;
  /** Removes everything of the sandbox's own, finished or half made. Harmless if it is gone. */
  remove(sandbox: Sandbox): Promise<void>;
  /** Runs a process in the sandbox's machine, outside of its tasks. Left out where sandboxes are no machines. */
  execInMachine?(sandbox: Sandbox, command: MachineCommand): Promise<MachineProcess>;
}

/** Called for a sandbox that runs, with nothing else being done to it. */
export interface WholeSandbox {
  /** Nothing of it runs when this has answered. Harmless where that is so already. */
  pause(sandbox: Sandbox): Promise<void>;
  resume(sandbox: Sandbox): Promise<void>;
  /** New limits (OCI `linux.resources`) for all of it together. */
  update(sandbox: Sandbox, resources: JsonObject): Promise<void>;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

/** A checked request for a sandbox. */
export interface SandboxRequest {
  readonly namespace: string;
  readonly id: string;
  /** "" if the caller made none. */
  readonly bundle: string;
  readonly rootfs: readonly Mount[];
  readonly netnsPath: string;
  /** "" if the sandboxer is to start a monitor itself. */
  readonly monitorAddress: string;
  /** The gRPC socket of the containerd whose sandbox it is; "" if the caller did not say. */
  readonly containerdAddress: string;
  /** The sandbox is for one container that came without a pod. */
  readonly lone: boolean;
  /** The pod's CRI config, where the sandbox is to be made from it. */
  readonly pod?: PodConfig;
  readonly options?: TypedBytes;
}
