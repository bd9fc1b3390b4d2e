// What is said about a child, in whichever way it is made.

/** clone() flags, from linux/sched.h. */
export const CLONE_PARENT = 0x00008000;
export const NAMESPACE_FLAGS: Readonly<Record<string, number>> = {
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
};

/** A step that a child took before it became another program, and that failed. */
export class ChildError extends Error {}

/** The exit status of a child that could not become its program. */
export const CANNOT_START = 127;

/** A child that does everything but the last step to its program, or has done so. */
export interface HeldChild {
  readonly pid: number;
  /**
   * Has it take that step, once, when it has come to it; throws a {@link ChildError} with what failed, then or before, or
   * that there is no child any more.
   */
  proceed(): Promise<void>;
}

/** What the child's code can say to its parent before the exec. */
export interface Report {
  /** The process that the parent shall know is another than the one that it forked. */
  pid(pid: number): void;
}

/** What a child does, in two steps, between which it may have to wait; either throws with what could not be done. */
export interface ChildCode<Plan> {
  prepare(plan: Plan, report: Report): void;
  /** @param filter a seccomp filter as seccomp(2) takes it; empty for none */
  become(plan: Plan, filter: ArrayBuffer): never;
}

export interface ForkOptions {
  /** clone() flags. */
  readonly flags?: number;
  /** The cgroup v2 folder that the child is born into, as a fd; -1 for none. */
  readonly cgroup?: number;
  /** A seccomp filter as seccomp(2) takes it; none if it is empty. */
  readonly filter?: Uint8Array | undefined;
}

export interface HeldForkOptions extends ForkOptions {
  /** Files that stay open while the child waits, and in its program. */
  readonly keep: readonly number[];
  /** The child reports a pid, which is waited for. */
  readonly reportsPid: boolean;
}
