import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import { assert } from "chai";
import { containerMounts, preopenedFolders } from "./engine-root.ts";

describe("what a module is shown", () => {
  let folder: string;
  let spec: OciSpec;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-root-"));
    for (const name of ["rootfs/etc", "rootfs/data", "rootfs/work", "volume"]) {
      mkdirSync(join(folder, name), { recursive: true });
    }
    symlinkSync("/etc", join(folder, "rootfs", "link"));
    writeFileSync(join(folder, "file"), "");
    spec = {
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs" },
        { destination: "/data", type: "bind", source: join(folder, "volume"), options: ["rbind", "ro"] },
        { destination: "/etc/hosts", type: "bind", source: join(folder, "file"), options: ["rbind"] },
        { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "size=64k", "strictatime"] },
      ],
    };
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const shown = (cwd: string) =>
    preopenedFolders(spec, cwd, join(folder, "rootfs")).map(({ path, name, readOnly }) =>
      [name, path, ...(readOnly ? ["ro"] : [])].join(" "),
    );

  it("is the root and every mount that is a folder, read-only where the mount is", () => {
    assert.deepEqual(shown("/"), ["/ /rootfs/", "/data /rootfs/data ro", "/run /rootfs/run"]);
  });

  it("is the working directory by the name that the root has to wasi-libc, and the root's folders by theirs", () => {
    assert.sameMembers(shown("/work").slice(1, -1), [
      "/etc /rootfs/etc",
      "/work /rootfs/work",
      "/data /rootfs/data ro",
      "/run /rootfs/run",
    ]);
    assert.equal(shown("/work").at(-1), ". /rootfs/work");
    assert.equal(shown("/data").at(-1), ". /rootfs/data ro");
  });

  it("is mounted without devices and set-user-id programs, the root read-only at last if it is to be", () => {
    spec.root = { readonly: true };
    const mounts = containerMounts(spec, join(folder, "rootfs"), [], true);
    assert.isTrue(mounts.every(({ options }) => options.includes("nosuid") && options.includes("nodev")));
    assert.deepEqual(
      mounts.map(({ type, target, within = "" }) => `${type} ${within}${target}`),
      [
        "bind /rootfs",
        "bind /rootfs/data",
        "bind /rootfs/etc/hosts",
        "tmpfs /rootfs/run",
        "bind /etc/hosts",
        "bind /rootfs",
      ],
    );
    assert.deepEqual(mounts.at(-1)?.options.slice(0, 2), ["remount", "ro"]);
  });
});
