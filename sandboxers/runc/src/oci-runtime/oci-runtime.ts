import type { CgroupPaths } from "@kuasar/framework/cgroup/cgroup-paths";
import type { Monitor, Stdio } from "@kuasar/framework/monitor/monitor";

/** An OCI runtime, by what it is asked to do. Everything throws SandboxError, with the runtime's own words. */
export interface OciRuntime {
  /** Answers with the pid of the init process, which waits to be started. */
  create(container: Container, stdio: Stdio, timeoutMs: number): Promise<number>;
  start(container: Container, timeoutMs: number): Promise<void>;
  /** Answers with the pid. `processFile` holds the OCI process as JSON. */
  exec(container: Container, exec: RuntimeExec, timeoutMs: number): Promise<number>;
  /** Removes what the runtime keeps of the container. One that it does not know is no error. */
  delete(container: Container, force: boolean): Promise<void>;
  pause(container: Container, timeoutMs: number): Promise<void>;
  resume(container: Container, timeoutMs: number): Promise<void>;
  /** `resourcesFile` holds the OCI resources as JSON. */
  update(container: Container, resourcesFile: string, timeoutMs: number): Promise<void>;
  checkpoint(container: Container, args: readonly string[], timeoutMs: number): Promise<void>;
  /** Answers with the pid of the init process, which runs. */
  restore(container: Container, args: readonly string[], stdio: Stdio, timeoutMs: number): Promise<number>;
  /** Whether the init process still waits to be started. */
  isWaiting(container: Container): boolean;
  /** The highest spec version that the runtime accepts, "1.0.2"; undefined if it accepts all. */
  specVersion(monitor: Monitor): Promise<string | undefined>;
}

/** A container, with all that its runtime's command lines are made of. */
export interface Container {
  readonly monitor: Monitor;
  readonly id: string;
  readonly bundle: string;
  /** Where the runtime keeps its state, with the namespace. */
  readonly root: string;
  readonly systemdCgroup: boolean;
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
  /** The spec has hooks that the runtime may want to run when the container starts. */
  readonly hooksAtStart: boolean;
  /** Set if removing these and the runtime's own folder is all there is to deleting the container, once it has ended. */
  readonly plainCgroup?: CgroupPaths;
}

export interface RuntimeExec {
  readonly execId: string;
  readonly processFile: string;
  readonly stdio: Stdio;
}
