import { assert } from "chai";
import { useLab } from "./lab.ts";
import { runtimeCases } from "./runtime-case.ts";

for (const runtimeCase of runtimeCases) {
  describe(`Many pods through ${runtimeCase.title}`, function () {
    this.timeout(300_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("a hundred, one after another, none fails", async () => {
      for (let index = 0; index < 100; index++) {
        const pod = await lab().runPod({ network: index % 10 === 0 ? "cni" : "host" });
        const containerId = await pod.start();
        assert.equal((await pod.exec(containerId, "echo", String(index))).stdout, `${index}\n`);
        await pod.remove();
      }
    });

    it("fifty at once, none fails", async () => {
      const indexes = Array.from({ length: 50 }, (_, index) => index);
      const pods = await Promise.all(
        indexes.map(async (index) => {
          const pod = await lab().runPod();
          const containerId = await pod.start();
          assert.equal((await pod.exec(containerId, "echo", String(index))).stdout, `${index}\n`);
          return pod;
        }),
      );
      const { items } = await lab().containerd.cri.runtime.listPodSandbox({});
      assert.lengthOf(items, 50);
      await Promise.all(pods.map((pod) => pod.remove()));
    });

    it("fifty containers in one pod at once, none fails", async () => {
      const pod = await lab().runPod();
      const ids = await Promise.all(Array.from({ length: 50 }, () => pod.start()));
      const results = await Promise.all(ids.map((id) => pod.exec(id, "hostname")));
      assert.isTrue(results.every(({ exitCode }) => exitCode === 0));
      await pod.remove();
    });
  });
}
