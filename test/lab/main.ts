// Runs a command in a virtual machine that is what a production node is; without one, a shell: npm run lab -- COMMAND
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory, vmParts } from "@kuasar/install/parts";
import { Command, InvalidArgumentError } from "commander";
import { checkoutImage, checkoutTop } from "./checkout-image.ts";
import { readExchangeDisk, writeExchangeDisk } from "./exchange-disk.ts";
import { rootImage } from "./root-image.ts";
import { runVirtualMachine } from "./virtual-machine.ts";

interface LabOptions {
  readonly deadline: number;
  readonly memory: number;
  readonly cpus: number;
  readonly keep: boolean;
  readonly nestedKvm: boolean;
  readonly results: string;
}

const top = checkoutTop(fileURLToPath(import.meta.url));
const folder = join(cacheDirectory(), "lab");

async function lab(words: readonly string[], options: LabOptions): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("making the machine's disk takes root: expected uid 0");
  const parts = await vmParts();
  mkdirSync(folder, { recursive: true });
  const root = await rootImage(parts, folder, report);
  const kept = join(folder, "checkout");
  const checkout = options.keep && existsSync(kept) ? kept : await checkoutImage(parts, top, folder);
  // Of this run alone: another may be under way.
  const scratch = mkdtempSync(join(folder, "run-"));
  const exchange = join(scratch, "exchange");
  const consoleLog = join(scratch, "console.log");
  try {
    writeExchangeDisk(exchange, words.join(" "));
    const { memory, cpus, nestedKvm, deadline } = options;
    const machine = { root, checkout, exchange, consoleLog, memoryMiB: memory, cpus, nestedKvm };
    report(`booting; the machine's console is ${consoleLog}`);
    const shell = words.length > 0 ? undefined : process.stdin;
    await runVirtualMachine(parts, { ...machine, deadlineMs: deadline * 60_000 }, shell);
    const status = await readExchangeDisk(exchange, options.results);
    if (status === undefined) throw new Error("the machine went before its command did");
    process.exitCode = status;
  } catch (error) {
    throw new Error(`${messageOf(error)}\n${tail(consoleLog)}`);
  } finally {
    if (existsSync(consoleLog)) renameSync(consoleLog, join(folder, "console.log"));
    rmSync(scratch, { recursive: true });
  }
}

function report(line: string): void {
  process.stderr.write(`lab: ${line}\n`);
}

function tail(log: string): string {
  return existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n").slice(-20).join("\n") : "";
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("expected a whole number above 0");
  return value;
}

await new Command("lab")
  .description("runs a command in a virtual machine with Linux 6.1, systemd and cgroup v2; without one, a shell")
  .argument(
    "[command...]",
    "shell text, run by root in a copy of this checkout; what it leaves in $LAB_RESULTS comes back",
  )
  .option("--deadline <minutes>", "after which the machine is ended", count, 60)
  .option("--memory <MiB>", "the machine's memory", count, 3072)
  .option("--cpus <number>", "the machine's processors", count, 2)
  .option("--keep", "boot with the checkout as it was in the last run", false)
  .option("--nested-kvm", "a processor with AMD's virtualization, for a /dev/kvm in the machine", false)
  .option("--results <folder>", "where $LAB_RESULTS goes", join(folder, "results"))
  .passThroughOptions()
  .action(lab)
  .parseAsync()
  .catch((error: unknown) => {
    process.stderr.write(`lab: ${messageOf(error)}\n`);
    process.exitCode = 1;
  });
