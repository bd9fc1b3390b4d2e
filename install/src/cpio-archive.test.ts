import { expect } from "chai";
import { cpioArchive } from "./cpio-archive.ts";

/** The names, modes and contents of an archive, read as the kernel does (Documentation/driver-api/early-userspace). */
function members(archive: Buffer): [string, number, string][] {
  const found: [string, number, string][] = [];
  const padded = (offset: number) => (offset + 3) & ~3;
  for (let at = 0; ; ) {
    expect(archive.toString("latin1", at, at + 6)).to.equal("070701");
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const content = padded(at + 110 + field(11));
    const name = archive.toString("utf8", at + 110, at + 110 + field(11) - 1);
    if (name === "TRAILER!!!") return found;
    found.push([name, field(1), archive.toString("utf8", content, content + field(6))]);
    at = padded(content + field(6));
  }
}

describe("a cpio archive", () => {
  const entries = [
    { path: "sbin/init", mode: 0o100755, content: Buffer.from("program") },
    { path: "etc/deep/file", mode: 0o100644, content: Buffer.from("text!") },
  ];

  it("has every folder before what is in it", () => {
    expect(members(cpioArchive(entries))).to.deep.equal([
      ["etc", 0o040755, ""],
      ["etc/deep", 0o040755, ""],
      ["etc/deep/file", 0o100644, "text!"],
      ["sbin", 0o040755, ""],
      ["sbin/init", 0o100755, "program"],
    ]);
  });

  it("is the same whatever order the entries come in", () => {
    expect(cpioArchive([...entries].reverse()).equals(cpioArchive(entries))).to.equal(true);
  });
});
