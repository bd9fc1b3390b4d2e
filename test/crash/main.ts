// Strikes one process after another at every point of every operation, and says what does not hold afterwards:
//   npm run crash -- [--sandboxer vmm] [--part TEXT] [--operation TEXT] [--every K] [--from N] [--sandbox-mode shim]
import { Command, Option } from "commander";
import { sandboxers } from "../churn/subject.ts";
import { CrashLab } from "./crash-lab.ts";
import { type CrashPoint, pointName } from "./crash-point.ts";
import { clientOperations, type Operation, shimDeath } from "./operations.ts";
import type { Part } from "./part.ts";
import { parts } from "./parts/all.ts";
import { runtime } from "./parts/runtime.ts";
import { type Subject, subjectOf } from "./subject.ts";
import { findPoints, strikeAt } from "./trial.ts";

interface Flags {
  readonly sandboxer: (typeof sandboxers)[number];
  readonly part?: string;
  readonly operation?: string;
  readonly point?: string;
  readonly every: string;
  readonly from: string;
  readonly sandboxMode: "podsandbox" | "shim";
}

const say = (line: string) => process.stdout.write(`${line}\n`);

class Campaign {
  struck = 0;
  missed = 0;
  readonly faults: string[] = [];
  private crash: CrashLab | undefined;

  constructor(private readonly subject: Subject) {}

  private async lab(): Promise<CrashLab> {
    this.crash ??= await CrashLab.start(this.subject);
    return this.crash;
  }

  async run(part: Part, operation: Operation, flags: Flags): Promise<void> {
    const [every, from, only] = [Number(flags.every), Number(flags.from), flags.point];
    const all = await findPoints(await this.lab(), part, operation);
    const points = all.filter((point, index) =>
      only ? pointName(point) === only : index >= from && (index - from) % every === 0,
    );
    say(`\n${part.name} in ${operation.name}: ${points.length} of ${all.length} points`);
    for (const point of points) await this.strike(part, operation, point);
  }

  private async strike(part: Part, operation: Operation, point: CrashPoint): Promise<void> {
    const { struck, told, fault } = await strikeAt(await this.lab(), part, operation, point);
    if (struck) this.struck++;
    else this.missed++;
    const name = `${part.name} in ${operation.name} at ${pointName(point)}`;
    say(`${fault ? "FAULT" : struck ? "ok   " : "miss "} ${name}: ${point.text}`);
    if (told) say(`        told: ${told.slice(0, 300)}`);
    if (!fault) return;
    say(`        ${fault}`);
    this.crash?.showLogs(say);
    this.faults.push(name);
    await this.end().catch((error: Error) => say(`        and then: ${error.message}`));
  }

  async end(): Promise<void> {
    const { crash } = this;
    this.crash = undefined;
    await crash?.stop();
  }
}

async function main(flags: Flags): Promise<void> {
  const subject = subjectOf(flags.sandboxer, flags.sandboxMode === "shim" ? "shim" : "default");
  const campaign = new Campaign(subject);
  try {
    for (const part of parts.filter(({ name }) => name.startsWith(flags.part ?? ""))) {
      if (part === runtime && !subject.hasRuntime) continue;
      for (const operation of [...clientOperations, shimDeath]) {
        if (!operation.name.includes(flags.operation ?? "") || !part.takesPartIn(operation)) continue;
        await campaign.run(part, operation, flags);
      }
    }
  } catch (error) {
    // What it leaves in the middle of an operation is not what is wrong.
    await campaign.end().catch((left: Error) => say(`left, too: ${left.message}`));
    throw error;
  }
  await campaign.end();
  say(`\n${campaign.struck} struck, ${campaign.missed} not reached, ${campaign.faults.length} faults`);
  for (const name of campaign.faults) say(`FAULT ${name}`);
  if (campaign.faults.length > 0) process.exitCode = 1;
}

await new Command("crash")
  .option("--part <text>", "only parts whose name begins so: shim, sandboxer, containerd, runtime")
  .option("--operation <text>", "only operations whose name has this")
  .option("--point <name>", "only this point, such as rename#2")
  .option("--every <k>", "only every k-th point", "1")
  .option("--from <n>", "only from the n-th point on", "0")
  .addOption(new Option("--sandboxer <name>").choices(sandboxers).default("runc"))
  .addOption(new Option("--sandbox-mode <mode>").choices(["podsandbox", "shim"]).default("podsandbox"))
  .action(main)
  .parseAsync();
