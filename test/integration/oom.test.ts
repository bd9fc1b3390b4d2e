import { strict as assert } from "node:assert";
import { waitUntil } from "@kuasar/install/wait-until";
import { useLab } from "./lab.ts";
import { runtimeCases } from "./runtime-case.ts";

const MEMORY_LIMIT_BYTES = 20_000_000;
const CONTAINER_EXITED = 2;

for (const runtimeCase of runtimeCases) {
  describe(`A container that takes more memory than it may: ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);
    afterEach(() => lab().assertNothingLeft());

    it("is killed, and CRI says that it was for memory", async () => {
      const pod = await lab().runPod();
      const id = await pod.start({
        command: ["sh", "-c", "x=a; while :; do x=$x$x; done"],
        memoryLimitBytes: MEMORY_LIMIT_BYTES,
      });
      const exited = async () => (await pod.containerStatus(id)).state === CONTAINER_EXITED;
      await waitUntil(exited, { what: "the container to be killed", timeoutMs: 20_000 });
      const { exitCode, reason } = await pod.containerStatus(id);
      assert.deepEqual([exitCode, reason], [137, "OOMKilled"]);
      await pod.remove();
    });
  });
}
