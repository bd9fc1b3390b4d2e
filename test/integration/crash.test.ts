import { assert } from "chai";
import { CrashLab } from "../crash/crash-lab.ts";
import { clientOperations } from "../crash/operations.ts";
import type { Part } from "../crash/part.ts";
import { containerdInCall, containerdInStart } from "../crash/parts/containerd.ts";
import { runtime } from "../crash/parts/runtime.ts";
import { sandboxer } from "../crash/parts/sandboxer.ts";
import { shimServe, shimStart } from "../crash/parts/shim.ts";
import { straceProgram } from "../crash/strace.ts";
import { subjectOf } from "../crash/subject.ts";
import { findPoints, strikeAt } from "../crash/trial.ts";

/** A point is the n-th call of its name, and that may be another one the next time: Node wakes its threads when it likes. */
const ATTEMPTS = 5;

type Selection = readonly [part: Part, operation: string, title: string, at: RegExp, after?: number][];

/** A thin selection of what `npm run crash` does: one point of each part, and every point that once showed a fault. */
const selection: Selection = [
  [shimStart, "RunPodSandbox", "it has forked the shim", /oom_score_adj>/],
  [shimServe, "StartContainer", "it starts runc", /^accept4/],
  [sandboxer, "StartContainer", "it has let the container's init process go", /^unlink.*exec\.fifo/, 2],
  [sandboxer, "StopPodSandbox", "it removes the pod's cgroups", /^rmdir.*\/memory\//],
  [sandboxer, "ctr run", "it makes the sandbox's folder", /^rename.*\.new-/],
  [containerdInStart, "RunPodSandbox", "the start command has forked the shim", /oom_score_adj>/],
  [containerdInCall, "RunPodSandbox", "the shim starts the pause process", /^clone3/],
  [runtime, "StartContainer", "create hangs", /^runc create/, 5],
];

/** What differs where a module runs: its process is the sandboxer's own to make, and not an OCI runtime's. */
const ofModules: Selection = [
  [sandboxer, "StartContainer", "it has the engine's process made", /^write.*Monitor\\22\\5S/],
  [sandboxer, "StopContainer", "it removes the container's cgroups", /^rmdir.*\/memory\//],
  [shimServe, "StartContainer", "it starts the engine", /^clone3/],
];

for (const [title, subject, points] of [
  ["A crash at any moment", subjectOf("runc", "default"), selection],
  ["A crash at any moment, of what runs a module,", subjectOf("wasmtime", "default"), ofModules],
] as const) {
  describe(`${title} is recovered from`, function () {
    this.timeout(120_000);
    let crash: CrashLab;

    before(async function () {
      // Without it nobody can be struck at a chosen moment.
      if (straceProgram() === undefined) this.skip();
      crash = await CrashLab.start(subject);
    });

    after(() => crash?.stop());

    for (const [part, operationName, title, at, after = 0] of points) {
      it(`${part.name} in ${operationName}, when ${title} (needs strace)`, async () => {
        const operation = clientOperations.find(({ name }) => name === operationName);
        assert.exists(operation);
        if (!operation) return;
        let struck = false;
        for (let attempt = 1; !struck && attempt <= ATTEMPTS; attempt++) {
          const found = await findPoints(crash, part, operation);
          const first = found.findIndex(({ text }) => at.test(text));
          const point = first < 0 ? undefined : found[first + after];
          assert.exists(point, `among ${found.map(({ text }) => text).join("\n")}`);
          if (!point) return;
          const verdict = await strikeAt(crash, part, operation, point);
          assert.isUndefined(verdict.fault);
          ({ struck } = verdict);
        }
        assert.isTrue(struck, `${operationName} went by ${ATTEMPTS} times without what was to be struck`);
      });
    }
  });
}
