import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import type { Lab } from "../lab.ts";
import { withPod } from "./with-pod.ts";

const MEBIBYTE = 1024 * 1024;
const BUSY = ["sh", "-c", "dd if=/dev/zero of=/tmp/file bs=1M count=2; while :; do :; done"];

export function statsTests(lab: () => Lab): void {
  const cri = () => lab().containerd.cri.runtime;

  it("tells a container's processor time, memory and files", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start({ name: "busy", command: BUSY, memoryLimitBytes: 64 * MEBIBYTE });
      const read = async () => (await cri().containerStats({ containerId })).stats;
      const first = await read();
      const later = await waitUntil(
        async () => {
          const stats = await read();
          const [before, now] = [first, stats].map((each) => each?.cpu?.usageCoreNanoSeconds?.value ?? 0);
          return (now ?? 0) > (before ?? 0) + 1e8 && stats;
        },
        { what: "more processor time", timeoutMs: 20_000 },
      );
      assert.equal(later?.attributes?.metadata?.name, "busy");
      assert.isAbove(later?.memory?.workingSetBytes?.value ?? 0, 0);
      assert.isBelow(later?.memory?.workingSetBytes?.value ?? 0, 64 * MEBIBYTE);
      assert.isAtMost(later?.memory?.availableBytes?.value ?? 0, 64 * MEBIBYTE);
      assert.isNotEmpty(later?.writableLayer?.fsId?.mountpoint);
    }));

  it("lists the stats of one pod's containers, and only theirs", () =>
    withPod(lab(), {}, async (pod) => {
      const ids = [await pod.start(), await pod.start()];
      await withPod(lab(), {}, async (other) => {
        const third = await other.start();
        const listed = async (podSandboxId: string) =>
          (await cri().listContainerStats({ filter: { podSandboxId } })).stats.map(({ attributes }) => attributes?.id);
        assert.sameMembers(await listed(pod.id), ids);
        assert.sameMembers(await listed(other.id), [third]);
        assert.includeMembers(await listed(""), [...ids, third]);
      });
    }));

  it("tells a pod's processor time, memory, network and processes", () =>
    withPod(lab(), { network: "cni", name: "measured" }, async (pod) => {
      const containerId = await pod.start({ command: ["sh", "-c", "sleep 1000 & wait"] });
      const gateway = (await pod.status()).network?.ip?.replace(/\d+$/, "1") ?? "";
      assert.equal((await pod.exec(containerId, "ping", "-c", "1", "-W", "2", gateway)).exitCode, 0);
      const { stats } = await cri().podSandboxStats({ podSandboxId: pod.id });
      assert.equal(stats?.attributes?.metadata?.name, "measured");
      assert.isAbove(stats?.linux?.cpu?.usageCoreNanoSeconds?.value ?? 0, 0);
      assert.isAbove(stats?.linux?.memory?.workingSetBytes?.value ?? 0, 0);
      assert.equal(stats?.linux?.network?.defaultInterface?.name, "eth0");
      assert.isAbove(stats?.linux?.network?.defaultInterface?.rxBytes?.value ?? 0, 0);
      assert.equal(stats?.linux?.process?.processCount?.value, 2);
      assert.deepEqual(
        stats?.linux?.containers?.map(({ attributes }) => attributes?.id),
        [containerId],
      );
    }));

  it("lists the stats of every pod that runs", () =>
    withPod(lab(), {}, (pod) =>
      withPod(lab(), {}, async (other) => {
        const { stats } = await cri().listPodSandboxStats({});
        assert.sameMembers(
          stats.map(({ attributes }) => attributes?.id),
          [pod.id, other.id],
        );
      }),
    ));
}
