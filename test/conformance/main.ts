// Compares io.containerd.kuasar.v2 with io.containerd.runc.v2, case by case:
//   node --import tsx test/conformance/main.ts [--sandboxer runc|vmm] [--grep TEXT] [--json FILE] [--markdown FILE]
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { Command } from "commander";
import { execa } from "execa";
import { closeStages, openStages, runCases, subjects } from "./conformance-run.ts";
import type { Finding } from "./finding.ts";
import { consoleRow, consoleTable, countsOf, markdownReport } from "./report.ts";
import type { Stage } from "./stage.ts";

interface Options {
  readonly sandboxer: string;
  readonly grep?: string;
  readonly json?: string;
  readonly markdown?: string;
}

async function main(options: Options): Promise<void> {
  const findings: Finding[] = [];
  const subject = subjects[options.sandboxer];
  if (!subject)
    throw new Error(`--sandboxer: expected ${Object.keys(subjects).join(" or ")}, got ${options.sandboxer}`);
  const stages = await openStages(subject);
  const versions = await versionsOf(stages.reference);
  try {
    for await (const finding of runCases(stages, subject, options.grep ? new RegExp(options.grep) : undefined)) {
      findings.push(finding);
      process.stdout.write(consoleRow(finding));
      // After every case: a run that is broken off has told what it found.
      if (options.json) save(options.json, `${JSON.stringify(findings, null, 2)}\n`);
      if (options.markdown) save(options.markdown, markdownReport(findings, versions, subject));
    }
  } finally {
    await closeStages(stages);
  }
  process.stdout.write(`${consoleTable(findings)}\n${countsOf(findings)}\n`);
  if (findings.some(({ verdict }) => verdict === "different")) process.exitCode = 1;
}

async function versionsOf({ lab }: Stage): Promise<string> {
  const { parts } = lab.containerd;
  const containerd = (await execa(parts.containerd, ["--version"])).stdout.split(" ")[2] ?? "";
  const runc = (await execa(parts.runc, ["--version"])).stdout.split("\n")[0] ?? "";
  // What comes of checkpoints is criu's to say.
  const criu = await execa("criu", ["--version"], { reject: false });
  const version = /^Version: (\S+)$/m.exec(criu.stdout ?? "")?.[1];
  return `containerd ${containerd}, ${runc.replace(" version", "")}, ${version ? `criu ${version}` : "no criu"}`;
}

function save(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

await new Command("conformance")
  .option("--sandboxer <kind>", "what is behind our shim", "runc")
  .option("--grep <text>", "only cases whose name matches this regular expression")
  .option("--json <file>", "where everything that was seen goes")
  .option("--markdown <file>", "where the table goes")
  .action(main)
  .parseAsync();
