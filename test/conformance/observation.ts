/** One thing that a case saw. `result` is compared between the runtimes; `wording` is free text that is not. */
export interface Observation {
  readonly step: string;
  readonly result: string;
  readonly wording?: string;
}

const codeNames: Readonly<Record<number, string>> = {
  1: "CANCELLED",
  2: "UNKNOWN",
  3: "INVALID_ARGUMENT",
  4: "DEADLINE_EXCEEDED",
  5: "NOT_FOUND",
  6: "ALREADY_EXISTS",
  7: "PERMISSION_DENIED",
  8: "RESOURCE_EXHAUSTED",
  9: "FAILED_PRECONDITION",
  10: "ABORTED",
  11: "OUT_OF_RANGE",
  12: "UNIMPLEMENTED",
  13: "INTERNAL",
  14: "UNAVAILABLE",
  15: "DATA_LOSS",
};

/**
 * What callers look for in the text of an error, since its code does not say it: containerd's client and CRI plugin,
 * ctr and nerdctl ("process already finished"), Docker (exit codes 126 and 127 for a program that cannot be run). The
 * last one is ours: an answer that did not come from the sandboxer must not pass for one that did.
 */
const matchedPhrases: readonly string[] = [
  "process already finished",
  "process not created",
  "container not created",
  "process does not exist",
  "init process is not running",
  "cannot delete a running process",
  "cannot start a running process",
  "cannot start a stopped process",
  "cannot exec in a",
  "cannot pause",
  "cannot resume",
  "cannot update",
  "cannot checkpoint",
  "already exists",
  "OCI runtime create failed",
  "OCI runtime start failed",
  "OCI runtime exec failed",
  "executable file not found",
  "no such file or directory",
  "permission denied",
  "is a directory",
  "not a directory",
  "invalid argument",
  "exec format error",
  "unable to find user",
  "sandboxer does not answer",
];

/** @param plain takes out what differs from run to run: ids, paths, pids */
export function errorObservation(step: string, error: unknown, plain: (text: string) => string): Observation {
  const { code, details } = error as { code?: unknown; details?: unknown };
  if (typeof code !== "number" || typeof details !== "string") throw error;
  const wording = plain(details);
  return { step, result: withMatched(codeNames[code] ?? `code ${code}`, wording), wording };
}

/** The result, and after it the phrases in an error's text that callers look for. */
export function withMatched(result: string, wording: string): string {
  const matched = matchedPhrases.filter((phrase) => wording.includes(phrase));
  return [result, ...matched.map((phrase) => `"${phrase}"`)].join(" ");
}
