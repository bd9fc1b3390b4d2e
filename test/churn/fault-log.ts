import type { PodModel } from "./pod-model.ts";

export type FaultKind =
  | "shim"
  | "sandboxer"
  | "containerd"
  | "both"
  | "init"
  | "pause"
  | "exec"
  | "start command"
  | "delete command"
  | "compiler"
  | "hypervisor"
  | "virtiofsd"
  | "runc";

/** Something that was killed: whom it may disturb, and until when. */
export interface Fault {
  readonly kind: FaultKind;
  readonly at: number;
  /** Undefined while what was killed is not back. */
  endedAt: number | undefined;
  /** Undefined: everybody. */
  readonly pods: readonly PodModel[] | undefined;
}

/** After the killed process is back, calls that were under way, or meet a connection just broken, have this long to fail. */
const AFTERMATH_MS = 1_500;

/** From an exit's event to CRI's record of it, on a busy machine. */
const FORGETS_MS = 2_000;

/** All faults so far; says whether a call's failure may be put down to one. */
export class FaultLog {
  readonly faults: Fault[] = [];

  begin(kind: FaultKind, pods?: readonly PodModel[]): Fault {
    const fault: Fault = { kind, at: Date.now(), endedAt: undefined, pods };
    this.faults.push(fault);
    return fault;
  }

  /** One whose victim does not come back. */
  strike(kind: FaultKind, pods: readonly PodModel[]): void {
    const fault = this.begin(kind, pods);
    fault.endedAt = fault.at;
  }

  counts(): Map<FaultKind, number> {
    const counts = new Map<FaultKind, number>();
    for (const { kind } of this.faults) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts;
  }

  /** The faults that a call of this pod from `from` to now may have met. */
  met(pod: PodModel, from: number): Fault[] {
    return this.faults.filter(
      ({ endedAt, pods }) =>
        (pods === undefined || pods.includes(pod)) && (endedAt === undefined || endedAt + AFTERMATH_MS >= from),
    );
  }

  /** Whether containerd was killed soon after that time: what it had just heard, it may not have written down. */
  containerdForgot(at: number): boolean {
    return this.containerdFaults().some((fault) => fault.at >= at - FORGETS_MS && fault.at <= at + FORGETS_MS);
  }

  private containerdFaults(): Fault[] {
    return this.faults.filter(({ kind }) => kind === "containerd" || kind === "both");
  }

  /** Whether containerd ran without a break from `from` to now. */
  containerdSteady(from: number): boolean {
    return !this.containerdFaults().some(({ endedAt }) => endedAt === undefined || endedAt + AFTERMATH_MS >= from);
  }
}
