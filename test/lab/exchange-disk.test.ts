import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "chai";
import { execa } from "execa";
import { readExchangeDisk, writeExchangeDisk } from "./exchange-disk.ts";

describe("The lab's exchange disk", () => {
  let folder: string;
  let disk: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-exchange-"));
    disk = join(folder, "disk");
    writeExchangeDisk(disk, "echo 'a  b'; exit 7\n");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("brings the command in, letter for letter", async () => {
    await execa("tar", ["-xf", disk, "-C", folder]);
    assert.equal(readFileSync(join(folder, "command"), "utf8"), "echo 'a  b'; exit 7\n");
  });

  it("brings the exit code and the results out, in place of an earlier run's", async () => {
    const results = join(folder, "out");
    mkdirSync(results);
    writeFileSync(join(results, "old"), "");
    // What guest/agent does.
    const work = join(folder, "work");
    mkdirSync(join(work, "results", "deep"), { recursive: true });
    writeFileSync(join(work, "results", "deep", "table.md"), "| a |");
    writeFileSync(join(work, "status"), "7\n");
    await execa("tar", ["-cf", disk, "-C", work, "status", "results"]);
    assert.equal(await readExchangeDisk(disk, results), 7);
    assert.equal(readFileSync(join(results, "deep", "table.md"), "utf8"), "| a |");
    assert.isFalse(existsSync(join(results, "old")));
    assert.isFalse(existsSync(join(results, "status")));
  });

  it("says when the machine went before its command did", async () => {
    assert.isUndefined(await readExchangeDisk(disk, join(folder, "out")));
  });
});
