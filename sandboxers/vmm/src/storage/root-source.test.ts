import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mount } from "@kuasar/framework/monitor/monitor";
import { expect } from "chai";
import { rootSource } from "./root-source.ts";

const mount = (type: string, source: string, ...options: string[]): Mount => ({ type, source, target: "", options });

describe("what a container's root comes from", () => {
  let upper: string;
  beforeEach(() => {
    upper = mkdtempSync(join(tmpdir(), "kuasar-upper-"));
  });
  afterEach(() => rmSync(upper, { recursive: true }));
  const overlay = () =>
    mount(
      "overlay",
      "overlay",
      "index=off",
      `workdir=${upper}`,
      `upperdir=${upper}`,
      "lowerdir=/snapshots/2:/snapshots/1",
    );

  it("is the share, by default", () => {
    for (const mounts of [[], [overlay()], [mount("bind", "/snapshots/1", "ro", "rbind")]]) {
      expect(rootSource(mounts, "VirtioFS")).to.deep.equal({ kind: "share" });
    }
  });

  it("is an overlay's layers, for all containers that have not written yet", () => {
    const layers = ["/snapshots/2", "/snapshots/1"];
    expect(rootSource([overlay()], "Block")).to.deep.equal({ kind: "layers", layers, shared: true });
    writeFileSync(join(upper, "file"), "");
    expect(rootSource([overlay()], "Block")).to.deep.equal({
      kind: "layers",
      layers: [upper, ...layers],
      shared: false,
    });
  });

  it("is a folder, which nobody changes where it is a read-only view", () => {
    expect(rootSource([mount("bind", "/snapshots/1", "ro", "rbind")], "Block")).to.deep.equal({
      kind: "layers",
      layers: ["/snapshots/1"],
      shared: true,
    });
    expect(rootSource([mount("bind", "/snapshots/1", "rw", "rbind")], "Block")).to.include({ shared: false });
  });

  it("is a file that would be mounted by a loop device, as it is", () => {
    for (const preference of ["VirtioFS", "Block"] as const) {
      expect(rootSource([mount("ext4", "/snapshots/1", "ro", "noload", "loop")], preference)).to.deep.equal({
        kind: "drive",
        path: "/snapshots/1",
        type: "ext4",
        options: ["ro", "noload"],
        readOnly: true,
      });
    }
  });

  it("is the share for what no image is made of: several mounts, other file systems, names with colons", () => {
    mkdirSync(join(upper, "empty"));
    for (const mounts of [
      [overlay(), mount("bind", "/snapshots/1", "rbind")],
      [mount("fuse3.fuse-overlayfs", "overlay", "lowerdir=/a:/b")],
      [mount("overlay", "overlay", "lowerdir=/a\\:b:/c")],
    ]) {
      expect(rootSource(mounts, "Block")).to.deep.equal({ kind: "share" });
    }
  });
});
