import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import Table from "cli-table3";
import { InvalidArgumentError } from "commander";

/** One line of the comparison. */
export interface Finding {
  readonly what: string;
  readonly unit: string;
  /** 0 where there is nothing to compare with. */
  readonly baseline: number;
  readonly candidate: number;
  /** What must hold (docs: "What must hold"): a bound of candidate / baseline, or of the candidate itself. */
  readonly target?: {
    readonly kind: "ratio" | "value";
    readonly bound: "at most" | "at least";
    readonly limit: number;
  };
}

export function ratio({ baseline, candidate }: Finding): number {
  return candidate / baseline;
}

/** Whether the target is met; undefined where there is none. */
export function holds(finding: Finding): boolean | undefined {
  const { target } = finding;
  if (!target) return undefined;
  const value = target.kind === "ratio" ? ratio(finding) : finding.candidate;
  return target.bound === "at most" ? value <= target.limit : value >= target.limit;
}

const times = (finding: Finding) => `${ratio(finding).toFixed(2)}x`;

export function findingsTable(
  findings: readonly Finding[],
  names: readonly [baseline: string, candidate: string],
): string {
  const table = new Table({
    head: ["", ...names, "ratio", "target", "holds"],
    colAligns: ["left", "right", "right", "right", "right", "left"],
    style: { head: [], border: [] },
  });
  for (const finding of findings) {
    const { what, unit, baseline, candidate, target } = finding;
    const number = (value: number) => `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
    const sign = target?.bound === "at least" ? "≥" : "≤";
    const goal = target ? `${sign} ${target.limit}${target.kind === "ratio" ? "x" : ` ${unit}`}` : "";
    const verdict = { true: "yes", false: "NO", undefined: "" }[
      String(holds(finding)) as "true" | "false" | "undefined"
    ];
    const beside = baseline === 0 ? ["", number(candidate), ""] : [number(baseline), number(candidate), times(finding)];
    table.push([what, ...beside, goal, verdict]);
  }
  return table.toString();
}

/** Prints the table, and keeps the figures as JSON. */
export async function publish(
  findings: readonly Finding[],
  names: readonly [baseline: string, candidate: string],
  json: string,
): Promise<void> {
  process.stdout.write(`${findingsTable(findings, names)}\n`);
  const lines = findings.map((finding) => ({ ...finding, ratio: ratio(finding), holds: holds(finding) }));
  await mkdir(dirname(json), { recursive: true });
  await writeFile(json, `${JSON.stringify({ when: new Date().toISOString(), findings: lines }, null, 2)}\n`);
  process.stdout.write(`written to ${json}\n`);
}

/** An option's whole number. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("expected a whole number above 0");
  return value;
}
