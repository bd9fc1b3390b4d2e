type Grade = "ok" | "note" | "problem";

/** What was found of one thing: a problem keeps pods from running, a note does not. */
export interface Diagnosis {
  readonly grade: Grade;
  readonly found: string;
}

export interface Check {
  readonly what: string;
  examine(): Promise<Diagnosis> | Diagnosis;
}

export const ok = (found: string): Diagnosis => ({ grade: "ok", found });
export const note = (found: string): Diagnosis => ({ grade: "note", found });
export const problem = (found: string): Diagnosis => ({ grade: "problem", found });
