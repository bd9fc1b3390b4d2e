import type { Observation } from "./observation.ts";

export interface Difference {
  readonly step: string;
  /** Undefined where this runtime's run did not come so far. */
  readonly reference: string | undefined;
  readonly ours: string | undefined;
}

/** "wording": what callers can act on is the same, the text of an error is another. */
export type Verdict = "same" | "wording" | "different";

export interface Comparison {
  readonly verdict: Verdict;
  /** In what is compared; for the verdict "wording", in the texts. */
  readonly differences: readonly Difference[];
}

/** Step by step: the runs of a case take the same steps unless a difference has come before. */
export function compare(reference: readonly Observation[], ours: readonly Observation[]): Comparison {
  const steps = Array.from({ length: Math.max(reference.length, ours.length) }, (_, index) => ({
    theirs: reference[index],
    mine: ours[index],
  }));
  const results = steps.flatMap(({ theirs, mine }) =>
    difference(theirs, mine, ({ step, result }) => `${step}: ${result}`),
  );
  if (results.length > 0) return { verdict: "different", differences: results };
  const texts = steps.flatMap(({ theirs, mine }) => difference(theirs, mine, ({ wording }) => wording ?? ""));
  return { verdict: texts.length > 0 ? "wording" : "same", differences: texts };
}

function difference(
  reference: Observation | undefined,
  ours: Observation | undefined,
  compared: (observation: Observation) => string,
): Difference[] {
  const same = reference && ours && compared(reference) === compared(ours);
  if (same) return [];
  const step = reference?.step ?? ours?.step ?? "";
  return [{ step, reference: reference && full(reference), ours: ours && full(ours) }];
}

function full({ result, wording }: Observation): string {
  return wording === undefined ? result : `${result}: ${wording}`;
}
