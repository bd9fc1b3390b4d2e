import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unmountBelow } from "@kuasar/install/mount-table";
import type { ContainerConfig } from "@kuasar/install/pod";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import type { Lab } from "../lab.ts";
import { withPod } from "./with-pod.ts";

const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = runtime.v1.MountPropagation;

const mount = (...args: string[]) => execFileSync("mount", args, { timeout: 10_000 });

/** A container's config with one folder of the machine at /volume. */
function volume(hostPath: string, options: Partial<runtime.v1.IMount> = {}) {
  return (config: ContainerConfig) =>
    void Object.assign(config, { mounts: [{ hostPath, containerPath: "/volume", ...options }] });
}

export function mountsTests(lab: () => Lab): void {
  const folder = (name: string) => {
    const path = join(lab().directory, "volumes", name);
    mkdirSync(path, { recursive: true });
    return path;
  };

  it("mounts a folder and a file of the machine, for reading and writing", () =>
    withPod(lab(), {}, async (pod) => {
      const path = folder("written");
      writeFileSync(join(path, "from-host"), "host\n");
      const id = await pod.start({ configure: volume(path) });
      const { stdout } = await pod.exec(id, "sh", "-c", "cat /volume/from-host; echo container > /volume/from-inside");
      assert.equal(stdout, "host\n");
      assert.equal(readFileSync(join(path, "from-inside"), "utf8"), "container\n");
      const file = await pod.start({ configure: volume(join(path, "from-host")) });
      assert.equal((await pod.exec(file, "cat", "/volume")).stdout, "host\n");
    }));

  it("keeps a container from writing to what it has read-only", () =>
    withPod(lab(), {}, async (pod) => {
      const path = folder("read-only");
      const id = await pod.start({ configure: volume(path, { readonly: true }) });
      assert.match((await pod.exec(id, "touch", "/volume/new")).stderr, /Read-only file system/);
      assert.isFalse(existsSync(join(path, "new")));
    }));

  it("makes the folder of the machine that is to be mounted where it is missing", () =>
    withPod(lab(), {}, async (pod) => {
      const path = join(folder("parent"), "made");
      const id = await pod.start({ configure: volume(path) });
      assert.equal((await pod.exec(id, "touch", "/volume/new")).exitCode, 0);
      assert.isTrue(existsSync(join(path, "new")));
    }));

  for (const { title, propagation, inward, outward } of [
    { title: "neither way", propagation: PROPAGATION_PRIVATE, inward: false, outward: false },
    { title: "into the container", propagation: PROPAGATION_HOST_TO_CONTAINER, inward: true, outward: false },
    { title: "both ways", propagation: PROPAGATION_BIDIRECTIONAL, inward: true, outward: true },
  ]) {
    it(`propagates mounts ${title} where asked`, async () => {
      const path = folder(`propagation-${propagation}`);
      for (const name of ["in", "out"]) mkdirSync(join(path, name));
      mount("--bind", path, path);
      mount(propagation === PROPAGATION_PRIVATE ? "--make-private" : "--make-shared", path);
      const privileged = ({ linux }: { linux: { securityContext: object } }) =>
        void Object.assign(linux.securityContext, { privileged: true });
      try {
        await withPod(lab(), { configure: privileged }, async (pod) => {
          const configure = (config: ContainerConfig) => {
            privileged(config);
            volume(path, { propagation })(config);
          };
          const id = await pod.start({ configure });
          mount("-t", "tmpfs", "inward", join(path, "in"));
          writeFileSync(join(path, "in", "file"), "");
          assert.equal((await pod.exec(id, "ls", "/volume/in")).stdout, inward ? "file\n" : "");
          const script = "mount -t tmpfs outward /volume/out && touch /volume/out/file";
          assert.deepEqual(await pod.exec(id, "sh", "-c", script), { stdout: "", stderr: "", exitCode: 0 });
          assert.equal(existsSync(join(path, "out", "file")), outward);
        });
      } finally {
        await unmountBelow(path);
      }
    });
  }
}
