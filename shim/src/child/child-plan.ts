import type { RootStep } from "./new-root.ts";

/**
 * All that a child has to know, for it has nothing else of the process that forked it: what can be decided before there is
 * a child is in it, and open files by their numbers. JSON keeps it whole.
 */
export type ChildPlan = ProcessPlan | DriverPlan;

/** A process of a pod. */
export interface ProcessPlan {
  readonly kind: "process";
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** A path, or an open file. */
  readonly program: string | number;
  /** What become its file descriptors 0, 1 and 2, and whether they are a terminal. */
  readonly stdio: readonly number[];
  readonly hasTerminal: boolean;
  /** clone() flags of the namespaces that it is in alone. */
  readonly ownNamespaces: number;
  readonly joinedNamespaces: ReadonlyArray<{ readonly flag: number; readonly path: string }>;
  /** A pipe's ends: it goes on with a byte from the one, and has the other open for no reason. */
  readonly gate?: readonly [read: number, write: number] | undefined;
  /** Files of cgroup v1 that a thread is moved by. */
  readonly cgroupTasks: readonly string[];
  readonly hostname: string;
  readonly domainname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly oomScoreAdj?: number | null | undefined;
  readonly parentDeathSignal: number;
  readonly credentials?: Credentials | null | undefined;
  /** What its root is made of; "empty" for one with nothing in it; none for the host's. */
  readonly root?: readonly RootStep[] | "empty" | undefined;
}

/** kuasar.monitor.v1.Credentials, but for its filter: that is no text. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly capabilities: readonly number[];
  readonly noNewPrivileges: boolean;
  readonly limits: readonly ResourceLimit[];
  readonly apparmorProfile: string;
  readonly selinuxLabel: string;
}

export interface ResourceLimit {
  readonly resource: number;
  readonly soft?: number | null | undefined;
  readonly hard?: number | null | undefined;
}

/** A log driver, whose pipes are where it looks for them. */
export interface DriverPlan {
  readonly kind: "driver";
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** stdout, stderr, and the one that it closes when it is ready. */
  readonly ends: readonly number[];
}
