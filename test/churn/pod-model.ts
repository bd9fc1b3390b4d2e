import type { ContainerPlan, PodPlan } from "./pod-plan.ts";
import { workloads } from "./workloads.ts";

const SIGKILL_STATUS = 137;

/** What a container is expected to have come to, from its plan and from what has been done to it since. */
export class ContainerModel {
  /** containerd's id, once it is known. */
  id: string | undefined;
  /** Its start is under way or has succeeded. */
  startedAt: number | undefined;
  /** Its pid on the host, once it was seen to run. */
  pid: number | undefined;
  /** Somebody has begun to end it. */
  ending = false;
  /** What it came to, as CRI says. */
  exitCode: number | undefined;
  /** A fault has killed its init process, or is about to. */
  killed = false;
  /** A fault has come between: it may not even have been started. */
  spoiled = false;
  /** A fault has killed one of the processes exec'd into it, at these times. */
  readonly execKills: number[] = [];
  readonly #codes = new Set<number>();

  constructor(readonly plan: ContainerPlan) {
    this.#codes.add(codeOf(plan) ?? SIGKILL_STATUS);
  }

  get codes(): readonly number[] {
    return [...this.#codes];
  }

  /** A fault kills its init process. */
  kill(): void {
    this.killed = true;
    this.#codes.add(SIGKILL_STATUS);
  }

  allows(code: number): boolean {
    return this.#codes.has(code);
  }

  /** A fault has killed it, or may have: it need not run any more. */
  get allowsEarlyEnd(): boolean {
    return this.killed || this.spoiled;
  }
}

/** What a container ends with to which nothing is done but its plan; undefined for one that is killed. */
function codeOf(plan: ContainerPlan): number | undefined {
  switch (plan.kind) {
    case "ends":
      return plan.code;
    case "obeys":
    case "stubborn":
      return workloads[plan.workload].codeOfStop(plan);
    default:
      return undefined;
  }
}

/** What a pod is expected to be, and the story of what has been done to it. */
export class PodModel {
  /** containerd's id of the sandbox, once it is known. */
  id: string | undefined;
  readonly containers: ContainerModel[];
  /** Its own shim has been killed: the one fault that may lose a pod. */
  shimKilled = false;
  /** Its pause process has been killed: it is not ready any more, though its containers run on. */
  pauseKilled = false;
  /** Its virtual machine has been killed, or the file server that it lives by. */
  machineKilled = false;
  /** containerd has been killed since it was made. */
  sawContainerdKilled = false;
  phase: "making" | "living" | "removing" = "making";
  readonly history: string[] = [];

  constructor(readonly plan: PodPlan) {
    this.containers = plan.containers.map((container) => new ContainerModel(container));
  }

  note(text: string): void {
    this.history.push(`${new Date().toISOString().slice(11, 23)} ${text}`);
  }

  container(id: string): ContainerModel | undefined {
    return this.containers.find((container) => container.id === id);
  }

  /** What only the loss of the shim, of the pause process or of the machine may do to the pod has been done. */
  get condemned(): boolean {
    return this.shimKilled || this.pauseKilled || this.machineKilled;
  }
}
