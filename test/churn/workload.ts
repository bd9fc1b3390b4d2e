import type { ContainerPlan, ExecPlan } from "./pod-plan.ts";

/** What containers run: how plans become processes, and how these are known again in the process table. */
export interface Workload {
  /** Default: busybox. */
  readonly image?: string;
  /** The command of a container. Its last argument, which it makes no other use of, says whose process it is. */
  command(plan: ContainerPlan): string[];
  /** Says "from ", its last argument and the end of a line. */
  execCommand(name: string, exec: ExecPlan): string[];
  /** The program that the kernel shows for both. */
  readonly program: RegExp;
  /** Appears when the container's process has come far enough to be told something. */
  readonly upFile: string;
  /** Below the root of the container's process, on this host; or to be asked for in the container. */
  readonly upFileIs: "below its root" | "inside";
  /** What one that runs until it is told to stop ends with then; undefined if it does not listen, and has to be killed. */
  codeOfStop(plan: ContainerPlan): number | undefined;
}
