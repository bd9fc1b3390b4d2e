// Makes and removes pods at random while parts of the runtime are killed at random, and looks for what that broke:
//   npm run churn -- --pods 1000 --seed 7 --sandboxer runc|wasmtime|wasmedge|vmm --mode default|shim|runc --parallel 6
//     [--no-faults] [--logs FOLDER]
import { appendFileSync, cpSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { Lab } from "../integration/lab.ts";
import { type ChurnOptions, churn } from "./churn.ts";
import { errorTexts, findingText, reportText } from "./report.ts";
import { furnish, isSealed, runSealed } from "./sealed.ts";
import { modes, sandboxers, subjectOf } from "./subject.ts";

const POST_MORTEM = ["sandboxer.log", "containerd/containerd.log"];

interface Flags {
  readonly pods: number;
  readonly seed: number;
  readonly sandboxer: (typeof sandboxers)[number];
  readonly mode: (typeof modes)[number];
  readonly parallel: number;
  readonly round: number;
  readonly faults: boolean;
  readonly logs?: string;
}

async function main(flags: Flags): Promise<void> {
  if (!isSealed()) {
    process.exitCode = await runSealed();
    return;
  }
  const subject = subjectOf(flags.sandboxer, flags.mode);
  const say = sayTo(flags.logs);
  furnish();
  const { pods, seed, parallel, faults, round } = flags;
  say(
    `seed ${seed}: ${pods} pods through ${subject.runtimeCase.title}, ${parallel} at once, ${faults ? "with" : "without"} faults\n`,
  );
  const options: ChurnOptions = {
    subject,
    pods,
    seed,
    parallel,
    faults,
    round,
    onFinding: (finding) => say(findingText(finding)),
    onRound: (made) => say(`${made} pods\n`),
  };
  const lab = await Lab.start(subject.runtimeCase);
  let left: ReadonlySet<string> = new Set();
  try {
    const result = await churn(options, lab);
    left = result.left;
    if (flags.logs) appendFileSync(join(flags.logs, "errors.log"), errorTexts(result));
    say(`\n${reportText(options, result)}`);
    if (result.findings.all.length > 0) process.exitCode = 1;
  } finally {
    if (flags.logs) {
      for (const name of POST_MORTEM)
        cpSync(join(lab.directory, name), join(flags.logs, name.replace("/", "-")), { force: true });
    }
    // "socket PATH" is what the lab calls it.
    await lab.stop((remains) => [...left].some((line) => line.endsWith(remains.split(" ").at(-1) ?? "")));
  }
}

function sayTo(folder: string | undefined): (text: string) => void {
  if (folder) mkdirSync(folder, { recursive: true });
  return (text) => {
    process.stdout.write(text);
    if (folder) appendFileSync(join(folder, "churn.log"), text);
  };
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("expected a whole number above 0");
  return value;
}

await new Command("churn")
  .option("--pods <count>", "how many pods are made in all", count, 100)
  .option("--seed <number>", "what is done when; default: another one each time", count, Math.ceil(Math.random() * 1e6))
  .addOption(
    new Option("--sandboxer <name>", "runc, wasm with that engine, or vmm").choices(sandboxers).default("runc"),
  )
  .addOption(
    new Option("--mode <mode>", "default or shim (sandbox_mode) for kuasar, runc for containerd's own shim")
      .choices(modes)
      .default("default"),
  )
  .option("--parallel <count>", "pods at once", count, 6)
  .option("--round <count>", "after so many pods everything must be gone", count, 50)
  .option("--no-faults", "only make and remove")
  .option("--logs <folder>", "where to keep what was said and the logs", (path) => resolve(path))
  .action(main)
  .parseAsync();
