import { allTargets } from "./all-targets.ts";
import { casesOf } from "./case-files.ts";
import { fuzz, replay } from "./fuzz-run.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

/** Beside the cases that are kept, in each run of the tests. */
const ROUND_SECONDS = 0.5;
const TIMEOUT_MS = 60_000;

/** Tests for the targets that need the native programs, or for those that do not. */
export function describeTargets(title: string, isOurs: (target: FuzzTarget) => boolean): void {
  describe(title, function () {
    this.timeout(TIMEOUT_MS);
    for (const target of allTargets.filter(isOurs)) {
      for (const { file, fault, input } of casesOf(target.name)) {
        it(`${target.name} has no more the fault of ${file}: ${fault.slice(0, 60)}`, () => replay(target, [input]));
      }

      const seed = Math.floor(Math.random() * 0x7fff_ffff);
      it(`${target.name} stands whatever comes, for a moment (--seed ${seed})`, async () => {
        const { found } = await fuzz(target, ROUND_SECONDS, seed);
        if (found) throw new Error(`${found.fault}\n${JSON.stringify(found.input)}`);
      });
    }
  });
}
