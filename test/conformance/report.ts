import Table from "cli-table3";
import type { Subject } from "./conformance-run.ts";
import type { Finding } from "./finding.ts";
import type { Observation } from "./observation.ts";

/** A cell's text: all steps of a case that agree are as good as their last ones. */
function summary(observations: readonly Observation[]): string {
  return observations
    .filter(({ step }) => step !== "events" && step !== "left behind")
    .map(({ step, result }) => `${step}: ${shorten(result, 90)}`)
    .join("; ");
}

function sides(finding: Finding): [string, string] {
  const { comparison, reference } = finding;
  if (finding.verdict === "same" || finding.verdict === "wording") return [summary(reference), "as there"];
  const side = (which: "reference" | "ours") =>
    comparison.differences
      .map((difference) => `${difference.step}: ${difference[which] ?? "(not reached)"}`)
      .join("; ");
  return [side("reference"), side("ours")];
}

function shorten(text: string, length: number): string {
  const line = text.replaceAll("\n", " ");
  return line.length > length ? `${line.slice(0, length)}…` : line;
}

export function consoleRow(finding: Finding): string {
  const lines = [`${finding.verdict.padEnd(9)} ${finding.case}`];
  if (finding.verdict === "different" || finding.verdict === "justified") {
    for (const { step, reference, ours } of finding.comparison.differences) {
      lines.push(`            ${step}`, `              runc: ${reference}`, `              ours: ${ours}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

export function consoleTable(findings: readonly Finding[]): string {
  const table = new Table({
    head: ["case", "runc shim", "ours", "", "why"],
    colWidths: [34, 50, 50, 12, 30],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const finding of findings) {
    const [reference, ours] = sides(finding).map((text) => shorten(text, 400));
    table.push([finding.case, reference, ours, finding.verdict, finding.justified.map(({ why }) => why).join(" ")]);
  }
  return table.toString();
}

export function countsOf(findings: readonly Finding[]): string {
  const count = (verdict: Finding["verdict"]) => findings.filter((finding) => finding.verdict === verdict).length;
  return (
    `${findings.length} cases: ${count("same")} the same, ${count("wording")} the same but for the wording of an error, ` +
    `${count("justified")} different for a reason, ${count("different")} different`
  );
}

export function markdownReport(findings: readonly Finding[], versions: string, { title, command }: Subject): string {
  const rows = findings.map((finding) => {
    const [reference, ours] = sides(finding).map((text) => cell(shorten(text, 600)));
    const why = finding.justified.map((justification) => justification.why).join(" ");
    return `| ${cell(finding.case)} | ${reference} | ${ours} | ${finding.verdict} | ${cell(why)} |`;
  });
  return [
    `# Conformance with containerd's runc shim${title}`,
    "",
    "Each case is run through a stock containerd's own gRPC API with `io.containerd.runc.v2` and with",
    "`io.containerd.kuasar.v2`. Compared are results, error codes and the parts of error texts that callers look for,",
    "states, exit codes and times, output, the sequence of events with their fields, and what is left behind.",
    `\`wording\` means that only the free text of an error is another. Written by \`${command}\`.`,
    "",
    `${versions}. ${countsOf(findings)}.`,
    "",
    "| case | runc shim | ours | verdict | why |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
    ...wordings(findings),
  ].join("\n");
}

function wordings(findings: readonly Finding[]): string[] {
  const lines = findings
    .filter(({ verdict }) => verdict === "wording")
    .flatMap((finding) =>
      finding.comparison.differences.map(({ step, reference = "", ours = "" }) => {
        const texts = [reference, ours].map((text) => cell(shorten(text, 300)));
        return `| ${cell(finding.case)} | ${cell(step)} | ${texts.join(" | ")} |`;
      }),
    );
  if (lines.length === 0) return [];
  return [
    "## Errors worded otherwise",
    "",
    "| case | step | runc shim | ours |",
    "| --- | --- | --- | --- |",
    ...lines,
    "",
  ];
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}
