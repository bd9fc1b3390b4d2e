import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { assert } from "chai";
import { useLab } from "./lab.ts";
import { runtimeCases } from "./runtime-case.ts";

/** undefined where the kernel does not say how it was made. */
function hasCoreScheduling(): boolean | undefined {
  try {
    return /^CONFIG_SCHED_CORE=y$/m.test(gunzipSync(readFileSync("/proc/config.gz")).toString());
  } catch {
    return undefined;
  }
}

for (const runtimeCase of runtimeCases.filter(({ criSandboxes }) => !criSandboxes)) {
  describe(`SCHED_CORE in containerd's environment, with ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase, {}, { SCHED_CORE: "1" });
    const supported = hasCoreScheduling();
    const run = (id: string) => lab().containerd.ctr(lab().ctrRunArgs(["--rm"], id, "true"), { reject: false });

    if (supported === false) {
      it("is refused, and says so, by a kernel that has no core scheduling", async () => {
        const { exitCode, stderr } = await run("isolated");
        assert.notEqual(exitCode, 0);
        assert.match(stderr, /sched.core/i);
        await lab().assertNothingLeft();
      });
    } else if (supported) {
      it("starts containers as ever", async () => {
        assert.equal((await run("isolated")).exitCode, 0);
        await lab().assertNothingLeft();
      });
    } else {
      it.skip("(this kernel has no /proc/config.gz to say whether it has core scheduling)");
    }
  });
}
