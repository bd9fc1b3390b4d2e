import type { RuntimeCase } from "../integration/runtime-case.ts";
import { knownOf } from "./justified.ts";

/** Something that should not have been. */
export interface Finding {
  /** What kind of promise was broken; findings are counted by it. */
  readonly kind:
    | "left behind"
    | "hang"
    | "failure without a fault"
    | "wrong exit code"
    | "exit told twice"
    | "exit not told"
    | "lost"
    | "broken";
  readonly text: string;
  /** What had been done to the pod it is about, a line each. */
  readonly history: readonly string[];
}

/** What has been found so far, and what of it is known to be containerd's own doing. */
export interface Findings {
  readonly all: readonly Finding[];
  /** How often each justification was needed, by its reason. */
  readonly excused: ReadonlyMap<string, number>;
  add(kind: Finding["kind"], text: string, history?: readonly string[]): void;
}

/** @param onFinding is told each one as it is found */
export function createFindings(runtimeCase: RuntimeCase, onFinding: (finding: Finding) => void): Findings {
  const all: Finding[] = [];
  const excused = new Map<string, number>();
  return {
    all,
    excused,
    add(kind, text, history = []) {
      const finding = { kind, text, history: [...history] };
      const why = knownOf(runtimeCase, finding);
      if (why !== undefined) {
        excused.set(why, (excused.get(why) ?? 0) + 1);
        return;
      }
      all.push(finding);
      onFinding(finding);
    },
  };
}
