import { assert } from "chai";
import { execa } from "execa";
import { type OciImage, ociImageArchive } from "./oci-image.ts";
import { tarArchive } from "./tar-archive.ts";

const image: OciImage = {
  reference: "docker.io/library/some:thing",
  entrypoint: ["/program"],
  rootfs: [{ path: "program", type: "file", content: Buffer.from("#!/bin/sh\n"), mode: 0o755 }],
};

describe("an image made here", () => {
  it("has the same bytes each time", () => {
    assert.isTrue(ociImageArchive(image).equals(ociImageArchive(image)));
  });

  it("is a layout whose index names the image", async () => {
    const { stdout } = await execa("tar", ["-xO", "index.json"], { input: ociImageArchive(image) });
    const { manifests } = JSON.parse(stdout) as { manifests: { annotations: Record<string, string> }[] };
    assert.equal(manifests[0]?.annotations["io.containerd.image.name"], image.reference);
  });
});

describe("a tar archive made here", () => {
  it("is read by tar, with modes, links and folders", async () => {
    const archive = tarArchive([
      { path: "folder", type: "directory", mode: 0o1777 },
      { path: "folder/file", type: "file", content: Buffer.from("text"), mode: 0o640 },
      { path: "link", type: "symlink", target: "folder/file" },
    ]);
    const { stdout } = await execa("tar", ["-tv", "--numeric-owner", "--full-time", "--utc"], { input: archive });
    assert.deepEqual(
      stdout.split("\n").map((line) => line.replace(/ +/g, " ")),
      [
        "drwxrwxrwt 0/0 0 1970-01-01 00:00:00 folder/",
        "-rw-r----- 0/0 4 1970-01-01 00:00:00 folder/file",
        "lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 link -> folder/file",
      ],
    );
  });

  it("refuses a path that ustar cannot hold", () => {
    assert.throws(() => tarArchive([{ path: "x".repeat(101), type: "directory" }]), /within 100 bytes/);
  });
});
