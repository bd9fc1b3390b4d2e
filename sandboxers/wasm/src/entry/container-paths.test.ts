import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "chai";
import { findInContainer } from "./container-paths.ts";

describe("a path in a container that is not running yet", () => {
  let folder: string;
  let rootfs: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-paths-"));
    rootfs = join(folder, "rootfs");
    mkdirSync(join(rootfs, "bin"), { recursive: true });
    mkdirSync(join(folder, "volume", "deep"), { recursive: true });
    writeFileSync(join(rootfs, "bin", "app"), "");
    writeFileSync(join(folder, "outside"), "");
    writeFileSync(join(folder, "volume", "deep", "file"), "");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const find = (path: string, cwd?: string) =>
    findInContainer(
      rootfs,
      [{ destination: "/mnt/data", type: "bind", source: join(folder, "volume"), options: ["rbind"] }],
      path,
      cwd,
    );

  it("leads to the image's file, from the root or from the working directory", () => {
    const app = { inContainer: "/bin/app", onHost: join(rootfs, "bin", "app"), base: rootfs };
    assert.deepEqual(find("/bin/app"), app);
    assert.deepEqual(find("app", "/bin"), app);
    assert.deepEqual(find("../../bin/./app", "/bin"), app);
    assert.isUndefined(find("/bin/nothing"));
    assert.isUndefined(find("/bin/app/below"));
  });

  it("leads into what is mounted there", () => {
    const base = join(folder, "volume");
    const file = { inContainer: "/mnt/data/deep/file", onHost: join(base, "deep", "file"), base };
    assert.deepEqual(find("/mnt/data/deep/file"), file);
    symlinkSync("/mnt/data", join(rootfs, "link"));
    assert.deepEqual(find("/link/deep/file"), file);
    assert.isUndefined(find("/mnt/other"));
  });

  it("never leads out of the container, whatever its links say", () => {
    symlinkSync("../../outside", join(rootfs, "bin", "up"));
    symlinkSync(join(folder, "outside"), join(rootfs, "bin", "absolute"));
    symlinkSync("/../../../bin/app", join(rootfs, "bin", "back"));
    symlinkSync("loop", join(rootfs, "bin", "loop"));
    assert.isUndefined(find("/bin/up"));
    assert.isUndefined(find("/bin/absolute"));
    assert.isUndefined(find("/bin/loop"));
    assert.equal(find("/bin/back")?.onHost, join(rootfs, "bin", "app"));
    assert.isUndefined(find("/../../outside"));
  });
});
