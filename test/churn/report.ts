import type { ChurnOptions, ChurnResult } from "./churn.ts";
import type { Finding } from "./finding.ts";

/** One finding, as it is told when it is found. */
export function findingText({ kind, text, history }: Finding): string {
  const story = history.map((line) => `      ${line}\n`).join("");
  return `FINDING ${kind}: ${text}\n${story}`;
}

/** What a run has made, met and found. */
export function reportText(options: ChurnOptions, result: ChurnResult): string {
  const { calls, faults, findings } = result;
  const methods = [...calls.counts].sort(([a], [b]) => a.localeCompare(b));
  const made = methods.reduce((sum, [, counts]) => sum + counts.made, 0);
  const disturbed = methods.reduce((sum, [, counts]) => sum + counts.disturbed, 0);
  const kinds = new Map<string, number>();
  for (const { kind } of findings.all) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const seconds = Math.round(result.tookMs / 1000);
  return [
    `${options.subject.runtimeCase.title}, seed ${options.seed}, ${options.parallel} at once, ${seconds} s`,
    `pods       ${result.pods}, with ${result.containers} containers`,
    `calls      ${made}, of which ${disturbed} failed while something was killed`,
    ...methods.map(
      ([name, counts]) =>
        `           ${name.padEnd(18)} ${String(counts.made).padStart(6)}  failed ${String(counts.disturbed).padStart(4)}  slowest ${counts.slowestMs} ms`,
    ),
    `faults     ${faults.faults.length}: ${list(faults.counts())}`,
    `containerd's own  ${findings.excused.size === 0 ? "none" : ""}`,
    ...[...findings.excused].map(([why, count]) => `           ${count} times: ${why}`),
    `findings   ${findings.all.length}${kinds.size > 0 ? `: ${list(kinds)}` : ""}`,
    "",
  ].join("\n");
}

/** What callers were told while something was killed, the most frequent first. */
export function errorTexts({ calls }: ChurnResult): string {
  const texts = [...calls.texts].sort(([, a], [, b]) => b - a);
  return texts.map(([text, count]) => `${String(count).padStart(5)}  ${text}\n`).join("");
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
}
