import { assert } from "chai";
import { useLab } from "./lab.ts";
import { kuasarCases } from "./runtime-case.ts";

for (const runtimeCase of kuasarCases) {
  describe(`Without a sandboxer behind ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);

    beforeEach(() => lab().sandboxer.kill("SIGTERM"));

    afterEach(async () => {
      await lab().sandboxer.start();
      await lab().assertNothingLeft();
    });

    it("a pod is refused with the socket's name and how to start the sandboxer", async () => {
      const message = await lab()
        .runPod()
        .then(
          () => "no error",
          (error: Error) => error.message,
        );
      assert.include(message, lab().sandboxer.options.socket);
      assert.include(message, "runc-sandboxer --listen");
    });

    it("ctr run is refused alike, and pods run again once it is back", async () => {
      const args = lab().ctrRunArgs(["--rm"], "refused", "true");
      const result = await lab().containerd.ctr(args, { reject: false });
      assert.notEqual(result.exitCode, 0);
      assert.include(result.stderr, lab().sandboxer.options.socket);
      assert.include(result.stderr, "runc-sandboxer --listen");
      await lab().sandboxer.start();
      const pod = await lab().runPod();
      await pod.remove();
      await lab().sandboxer.kill("SIGTERM");
    });
  });
}
