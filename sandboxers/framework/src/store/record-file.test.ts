import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { appendRecord, readLastRecord } from "./record-file.ts";

describe("a record that changes often", () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "record-"));
    path = join(folder, "record.json");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is read as it was last written", () => {
    appendRecord(path, '{"n":1}');
    appendRecord(path, '{"n":2}');
    expect(readLastRecord(path)).to.equal('{"n":2}');
  });

  it("does not count a version that a crash has cut off", () => {
    appendRecord(path, '{"n":1}');
    appendFileSync(path, '\n{"n":');
    expect(readLastRecord(path)).to.equal('{"n":1}');
    appendRecord(path, '{"n":3}');
    expect(readLastRecord(path)).to.equal('{"n":3}');
  });

  it("was never written if its only version was cut off", () => {
    writeFileSync(path, '\n{"n":');
    expect(readLastRecord(path)).to.equal(undefined);
  });

  it("does not grow without end", () => {
    const json = JSON.stringify({ text: "x".repeat(5_000) });
    for (let i = 0; i < 100; i++) appendRecord(path, json);
    expect(statSync(path).size).to.be.lessThan(70_000);
    expect(readLastRecord(path)).to.equal(json);
  });
});
