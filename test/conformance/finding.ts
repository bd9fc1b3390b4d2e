import { type Comparison, compare } from "./comparison.ts";
import { type ConformanceCase, observe } from "./conformance-case.ts";
import type { Justification } from "./justified.ts";
import type { Observation } from "./observation.ts";
import type { Stage } from "./stage.ts";

/** What came of a case, with both runtimes. */
export interface Finding {
  readonly case: string;
  readonly reference: readonly Observation[];
  readonly ours: readonly Observation[];
  readonly comparison: Comparison;
  /** Why each difference is meant, if every one of them is. */
  readonly justified: readonly Justification[];
  readonly verdict: "same" | "wording" | "justified" | "different";
}

export interface Stages {
  readonly reference: Stage;
  readonly ours: Stage;
}

export async function findOut(
  stages: Stages,
  conformanceCase: ConformanceCase,
  id: string,
  justifications: readonly Justification[],
): Promise<Finding> {
  const reference = await observe(stages.reference, conformanceCase, id);
  const ours = await observe(stages.ours, conformanceCase, id);
  return judge(conformanceCase.name, reference, ours, justifications);
}

export function judge(
  name: string,
  reference: readonly Observation[],
  ours: readonly Observation[],
  justifications: readonly Justification[],
): Finding {
  const comparison = compare(reference, ours);
  const own = justifications.filter((justification) => matches(justification.case, name));
  const reasons = comparison.differences.map((difference) =>
    own.find(({ step, ours: result }) => matches(step, difference.step) && result.test(difference.ours ?? "")),
  );
  const justified = [...new Set(reasons.filter((reason) => reason !== undefined))];
  const allJustified = comparison.verdict === "different" && reasons.every((reason) => reason !== undefined);
  const verdict = allJustified ? "justified" : comparison.verdict;
  return { case: name, reference, ours, comparison, justified: verdict === "justified" ? justified : [], verdict };
}

function matches(wanted: string | RegExp, name: string): boolean {
  return typeof wanted === "string" ? wanted === name : wanted.test(name);
}
