import { assert } from "chai";
import { CrashLab } from "../crash/crash-lab.ts";
import { clientOperations } from "../crash/operations.ts";
import type { Part } from "../crash/part.ts";
import { containerdInCall, containerdInStart } from "../crash/parts/containerd.ts";
import { runtime } from "../crash/parts/runtime.ts";
import { sandboxer } from "../crash/parts/sandboxer.ts";
import { shimServe, shimStart } from "../crash/parts/shim.ts";
import { straceProgram } from "../crash/strace.ts";
import { findPoints, strikeAt } from "../crash/trial.ts";
import { runtimeCases } from "./runtime-case.ts";

/** A thin selection of what `npm run crash` does: one point of each part, and every point that once showed a fault. */
const selection: readonly [part: Part, operation: string, title: string, at: RegExp, after?: number][] = [
  [shimStart, "RunPodSandbox", "it has forked the shim", /oom_score_adj>/],
  [shimServe, "StartContainer", "it starts runc", /^accept4/],
  [sandboxer, "StartContainer", "it has let the container's init process go", /^unlink.*exec\.fifo/, 2],
  [sandboxer, "StopPodSandbox", "it removes the pod's cgroups", /^rmdir.*\/memory\//],
  [sandboxer, "ctr run", "it makes the sandbox's folder", /^rename.*\.new-/],
  [containerdInStart, "RunPodSandbox", "the start command has forked the shim", /oom_score_adj>/],
  [containerdInCall, "RunPodSandbox", "the shim starts the pause process", /^clone3/],
  [runtime, "StartContainer", "create hangs", /^runc create/, 5],
];

describe("A crash at any moment is recovered from", function () {
  this.timeout(120_000);
  let crash: CrashLab;

  before(async function () {
    // Without it nobody can be struck at a chosen moment.
    if (straceProgram() === undefined) this.skip();
    const runtimeCase = runtimeCases.find(({ sandboxer, sandboxMode }) => sandboxer && !sandboxMode);
    assert.exists(runtimeCase);
    if (runtimeCase) crash = await CrashLab.start(runtimeCase);
  });

  after(() => crash?.stop());

  for (const [part, operationName, title, at, after = 0] of selection) {
    it(`${part.name} in ${operationName}, when ${title} (needs strace)`, async () => {
      const operation = clientOperations.find(({ name }) => name === operationName);
      assert.exists(operation);
      if (!operation) return;
      const points = await findPoints(crash, part, operation);
      const first = points.findIndex(({ text }) => at.test(text));
      const point = points[first + after];
      assert.exists(point, `among ${points.map(({ text }) => text).join("\n")}`);
      if (!point) return;
      const { struck, fault } = await strikeAt(crash, part, operation, point);
      assert.isUndefined(fault);
      assert.isTrue(struck, `${operationName} went by without ${point.text}`);
    });
  }
});
