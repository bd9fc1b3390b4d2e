import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { lastLines, printableLines } from "./last-lines.ts";

describe("the last lines of a machine's logs", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("are the last of each log, whatever its size, and none of a log that is not there", async () => {
    const log = join(folder, "console.log");
    writeFileSync(log, Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`).join(""));
    const lines = (await lastLines([join(folder, "none"), log])).split("\n");
    expect(lines).to.have.length(12);
    expect(lines.at(-1)).to.equal("line 9999");
  });

  it("have nothing that a terminal would act on, and an end", () => {
    const said = `\u001b[1;31mred\u001b[0m\u0007\r\n\u009b31m\u202egnp.exe\n\n${"x".repeat(10_000)}`;
    expect(printableLines(said)).to.deep.equal(["red", " 31m gnp.exe", "x".repeat(300)]);
  });
});
