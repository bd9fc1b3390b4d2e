import { status as GrpcStatus, type ServiceError } from "@grpc/grpc-js";
import type { FaultLog } from "./fault-log.ts";
import type { Findings } from "./finding.ts";
import type { PodModel } from "./pod-model.ts";

/** No call may take longer, whatever has been killed meanwhile. */
export const CALL_DEADLINE_MS = 60_000;

/** A call that failed, and was allowed to: a fault came between. */
export class Disturbed extends Error {}

/** Figures of one method. */
export interface CallCounts {
  made: number;
  disturbed: number;
  slowestMs: number;
}

/** Makes calls, and judges their failures: by the faults that they met, or as findings. */
export class Calls {
  readonly counts = new Map<string, CallCounts>();
  /** What callers were told when a fault came between, with how often. */
  readonly texts = new Map<string, number>();
  /** By pod: what has been told of it already. */
  private readonly told = new WeakMap<PodModel, Set<string>>();

  constructor(
    readonly faults: FaultLog,
    private readonly findings: Findings,
  ) {}

  /** @throws Disturbed where the call failed, by a fault or not; in the latter case it is a finding, too */
  async make<T>(method: string, pod: PodModel, call: () => Promise<T>): Promise<T> {
    const began = Date.now();
    const counts = this.countsOf(method);
    counts.made += 1;
    try {
      const answer = await call();
      pod.note(`${method}: ok`);
      return answer;
    } catch (error) {
      counts.disturbed += 1;
      const text = `${method}: ${(error as Error).message}`;
      pod.note(text);
      this.judge(method, text, error, pod, began);
      throw new Disturbed(text, { cause: error });
    } finally {
      counts.slowestMs = Math.max(counts.slowestMs, Date.now() - began);
    }
  }

  private judge(method: string, text: string, error: unknown, pod: PodModel, began: number): void {
    const took = Date.now() - began;
    if ((error as Partial<ServiceError>).code === GrpcStatus.DEADLINE_EXCEEDED && took >= CALL_DEADLINE_MS - 1000) {
      this.findings.add("hang", `${method} took longer than ${CALL_DEADLINE_MS} ms`, pod.history);
      return;
    }
    const met = this.faults.met(pod, began);
    if (met.length === 0 && !pod.condemned) {
      // A call that is made again and again fails again and again.
      const told = this.told.get(pod) ?? new Set();
      if (!told.has(method)) this.findings.add("failure without a fault", text, pod.history);
      this.told.set(pod, told.add(method));
      return;
    }
    const why = [...new Set(met.map(({ kind }) => kind)), ...(pod.condemned ? ["condemned"] : [])].sort().join("+");
    const general = `[${why}] ${generalText(text)}`;
    this.texts.set(general, (this.texts.get(general) ?? 0) + 1);
  }

  private countsOf(method: string): CallCounts {
    const counts = this.counts.get(method) ?? { made: 0, disturbed: 0, slowestMs: 0 };
    this.counts.set(method, counts);
    return counts;
  }
}

/** Without what differs from pod to pod. */
function generalText(text: string): string {
  return text
    .replace(/[0-9a-f]{64}/g, "ID")
    .replace(/\/tmp\/kuasar-test-\w+/g, "LAB")
    .replace(/churn-\d+[\w-]*/g, "NAME")
    .replace(/\b\d{2,}\b/g, "N");
}
