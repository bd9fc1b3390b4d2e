// npm run fuzz -- --seconds 60 [--target NAME] [--seed N]
import { InvalidArgumentError, program } from "commander";
import { allTargets } from "./all-targets.ts";
import { keepCase } from "./case-files.ts";
import { closeSubjects, fuzz } from "./fuzz-run.ts";

const numberFrom = (least: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw new InvalidArgumentError(`expected an integer from ${least}`);
  return value;
};

const names = allTargets.map(({ name }) => name).join(", ");
const { seconds, target, seed } = program
  .name("fuzz")
  .option("--seconds <number>", "for each target", numberFrom(1), 60)
  .option("--target <name>", `one of ${names}`)
  .option("--seed <number>", "what a run began with, to have it again", numberFrom(0))
  .parse()
  .opts<{ seconds: number; target?: string; seed?: number }>();

const chosen = allTargets.filter(({ name }) => target === undefined || name === target);
if (chosen.length === 0) program.error(`--target: expected one of ${names}, got ${target}`);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void closeSubjects().finally(() => process.exit(1)));
}
for (const each of chosen) {
  const ownSeed = seed ?? Math.floor(Math.random() * 0x7fff_ffff);
  process.stdout.write(`${each.name}: --seed ${ownSeed} ... `);
  const { runs, found } = await fuzz(each, seconds, ownSeed);
  process.stdout.write(`${runs} inputs, ${found ? "a fault" : "no fault"}\n`);
  if (!found) continue;
  process.exitCode = 1;
  const kept = found.input === null ? "no single input has it" : keepCase(each.name, found.fault, found.input);
  process.stdout.write(`${found.fault}\n${kept}\n\n`);
}
// Subjects with faults may leave handles that nobody waits for.
process.exit();
