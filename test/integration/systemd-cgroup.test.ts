import { readFileSync } from "node:fs";
import { assert } from "chai";
import { execa } from "execa";
import { pidOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { runtimeCases, variant } from "./runtime-case.ts";

const memoryLimitBytes = 64 * 1024 * 1024;

async function show(unit: string, property: string): Promise<string> {
  return (await execa("systemctl", ["show", "--value", "--property", property, unit])).stdout.trim();
}

const scopeOf = (id: string) => `cri-containerd-${id}.scope`;
const cgroupOf = (pid: number) => readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n").at(-1);

for (const runtimeCase of runtimeCases) {
  describe(`A pod whose cgroups are systemd's: ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    if (!variant.systemdCgroup) {
      it("has a scope for itself and for each container (skipped: needs systemd and KUASAR_TEST_CGROUPS=systemd)");
      return;
    }
    const lab = useLab(runtimeCase);
    afterEach(() => lab().assertNothingLeft());

    it("has a scope for itself and for each container, in the pod's slice, until it goes", async () => {
      const pod = await lab().runPod();
      const id = await pod.start({ memoryLimitBytes });
      const parent = lab().containerd.cgroupParent;
      for (const scope of [scopeOf(pod.id), scopeOf(id)]) {
        assert.equal(await show(scope, "ActiveState"), "active", scope);
        assert.equal(await show(scope, "ControlGroup"), `${parent}/${scope}`);
      }
      assert.equal(await show(scopeOf(id), "MemoryMax"), String(memoryLimitBytes));
      assert.equal(cgroupOf(await pidOf(lab(), id)), `0::${parent}/${scopeOf(id)}`);
      await pod.remove();
      for (const scope of [scopeOf(pod.id), scopeOf(id)]) {
        assert.equal(await show(scope, "ActiveState"), "inactive", scope);
      }
    });

    it("keeps its limits, and lives on, when systemd reads its units again", async () => {
      const pod = await lab().runPod();
      const id = await pod.start({ memoryLimitBytes });
      await execa("systemctl", ["daemon-reload"]);
      const folder = `/sys/fs/cgroup${lab().containerd.cgroupParent}/${scopeOf(id)}`;
      assert.equal(readFileSync(`${folder}/memory.max`, "utf8").trim(), String(memoryLimitBytes));
      assert.equal((await pod.exec(id, "echo", "here")).stdout, "here\n");
      await pod.remove();
    });
  });
}
