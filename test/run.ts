// Everything that must hold before a change goes in: lint, types, unit tests, integration tests. The last line sums up.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { SuiteStats } from "./suite.ts";

interface Stage {
  readonly name: string;
  /** Run by this Node, at the top of the checkout. */
  readonly args: readonly string[];
  /** Where a suite writes its figures. A stage without them counts as one test. */
  readonly stats?: string;
}

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), "kuasar-run-"));
const program = (name: string) => join(top, "node_modules", name);

function suite(name: string): Stage {
  const stats = join(scratch, `${name}.json`);
  return { name, args: ["--import", "tsx", join(top, "test", "suite.ts"), name, "--stats", stats], stats };
}

const stages: readonly Stage[] = [
  { name: "lint", args: [program("@biomejs/biome/bin/biome"), "check", "."] },
  { name: "types", args: [program("typescript/bin/tsc"), "-p", "tsconfig.json"] },
  suite("unit"),
  suite("integration"),
];

async function runStage({ name, args, stats }: Stage): Promise<SuiteStats> {
  process.stdout.write(`\n== ${name}\n`);
  const { exitCode } = await execa(process.execPath, args, { cwd: top, stdio: "inherit", reject: false });
  if (!stats) return { passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
  // A suite that broke down before it could count is a failure as well.
  if (!existsSync(stats)) return { passed: 0, failed: 1, skipped: 0 };
  const counted = JSON.parse(readFileSync(stats, "utf8")) as SuiteStats;
  return exitCode !== 0 && counted.failed === 0 ? { ...counted, failed: 1 } : counted;
}

const total = { passed: 0, failed: 0, skipped: 0 };
try {
  for (const stage of stages) {
    const { passed, failed, skipped } = await runStage(stage);
    process.stdout.write(`== ${stage.name}: ${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
} finally {
  rmSync(scratch, { recursive: true });
}
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
if (total.failed > 0) process.exitCode = 1;
