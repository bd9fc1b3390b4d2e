/** A difference that is meant. It covers one step of one case, and only the result that it names. */
export interface Justification {
  readonly case: string;
  readonly step: string;
  /** What our result has, and the runc shim's has not. */
  readonly ours: RegExp;
  readonly why: string;
}

export const justifications: readonly Justification[] = [];
