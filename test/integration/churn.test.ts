import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert } from "chai";
import { execa } from "execa";

const program = join(dirname(dirname(fileURLToPath(import.meta.url))), "churn", "main.ts");

/** Runs the churn as `npm run churn` does; it ends with 1 if it has found anything, and says what. */
async function churn(...flags: string[]): Promise<void> {
  const args = ["--import", "tsx", program, ...flags];
  const { exitCode, all } = await execa(process.execPath, args, { all: true, reject: false });
  assert.equal(exitCode, 0, all);
}

describe("Pods made and removed at random", function () {
  this.timeout(300_000);

  for (const mode of ["default", "shim"]) {
    it(`in ${mode} mode, while everything is killed at random: nothing is lost, nothing is left`, () =>
      churn("--mode", mode, "--pods", "40", "--seed", "1", "--parallel", "6"));
  }

  for (const mode of ["default", "runc"]) {
    it(`in ${mode} mode, forty at once: none fails, nothing is left`, () =>
      churn("--mode", mode, "--pods", "40", "--seed", "2", "--parallel", "40", "--no-faults"));
  }
});
