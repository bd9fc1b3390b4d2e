import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { writeFileAtomically } from "./atomic-file.ts";

describe("writing a file in one step", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("replaces the content and leaves nothing else", () => {
    const path = join(folder, "f");
    writeFileSync(path, "old");
    writeFileAtomically(path, "new");
    expect(readFileSync(path, "utf8")).to.equal("new");
    expect(readdirSync(folder)).to.deep.equal(["f"]);
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it("leaves the old content and no draft if it cannot", () => {
    const path = join(folder, "d");
    writeFileSync(path, "old");
    const below = join(path, "f");
    expect(() => writeFileAtomically(below, "new")).to.throw(/ENOTDIR/);
    expect(readFileSync(path, "utf8")).to.equal("old");
    expect(readdirSync(folder)).to.deep.equal(["d"]);
  });
});
