// Runs mocha over the test files whose paths match, and optionally writes what came of it as JSON:
//   node --import tsx test/suite.ts unit|integration|conformance [--grep TEXT] [--stats FILE]
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { patience } from "@kuasar/install/wait-until";
import { Command } from "commander";
import Mocha from "mocha";

/** How many tests passed, failed and were skipped. */
export interface SuiteStats {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const ignored = new Set(["node_modules", "dist", "gen", ".cache", ".git"]);
const integration = join(top, "test", "integration");
const conformance = join(top, "test", "conformance", "conformance.test.ts");

function testFiles(directory: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !ignored.has(entry.name)) files.push(...testFiles(path));
    else if (entry.isFile() && entry.name.endsWith(".test.ts")) files.push(path);
  }
  return files.sort();
}

function filesOf(suite: string): string[] {
  if (suite === "integration") return testFiles(integration);
  if (suite === "conformance") return [conformance];
  if (suite === "unit") return testFiles(top).filter((path) => !path.startsWith(integration) && path !== conformance);
  throw new Error(`expected the suite unit, integration or conformance, got ${suite}`);
}

/** Gives every test and hook the time that this machine takes. */
function stretchTimeouts(runner: Mocha.Runner): void {
  const stretched = new Set<Mocha.Runnable>();
  const stretch = (runnable: Mocha.Runnable) => {
    // A hook that is run before each test comes here before each.
    if (!stretched.has(runnable)) runnable.timeout(runnable.timeout() * patience);
    stretched.add(runnable);
  };
  runner.on("test", stretch);
  runner.on("hook", stretch);
}

async function runSuite(suite: string, options: { readonly grep?: string; readonly stats?: string }): Promise<void> {
  const mocha = new Mocha({
    forbidOnly: true,
    slow: 1000,
    timeout: 10_000,
    ...(options.grep ? { grep: options.grep } : {}),
  });
  for (const file of filesOf(suite)) mocha.addFile(file);
  await mocha.loadFilesAsync();
  const { passes, failures, pending } = await new Promise<Mocha.Stats>((resolve, reject) => {
    const runner = mocha.run(() => (runner.stats ? resolve(runner.stats) : reject(new Error("mocha gave no figures"))));
    stretchTimeouts(runner);
  });
  const stats: SuiteStats = { passed: passes, failed: failures, skipped: pending };
  if (options.stats) writeFileSync(options.stats, JSON.stringify(stats));
  if (failures > 0) process.exitCode = 1;
}

await new Command("suite")
  .argument("<suite>", "unit, integration or conformance")
  .option("--grep <text>", "only tests whose title has this")
  .option("--stats <file>", "where the figures go, as JSON")
  .action(runSuite)
  .parseAsync();
