import { expect } from "chai";
import { specVersionIn } from "./crun.ts";
import { lastErrorIn, runtimeError } from "./runtime-error.ts";

describe("what an OCI runtime says of its failure", () => {
  it("is the last error of its log, whatever else is in there", () => {
    const log = [
      '{"level":"warning","msg":"no"}',
      '{"level":"error","msg":"first"}',
      '{"level":"error","msg":" last \\n"}',
      '{"level":"debug","msg":"no"}',
      "not json",
      '{"level":"err',
    ].join("\n");
    expect(lastErrorIn(log)).to.equal("last");
    expect(lastErrorIn("")).to.equal("");
    expect(lastErrorIn("null\n1\n")).to.equal("");
  });

  it("is how it ended and what it wrote, if it has logged nothing", () => {
    const result = { exitStatus: 2, stdout: new Uint8Array(), stderr: Buffer.from("oh no\n"), pid: 0 };
    const error = runtimeError("OCI runtime create failed", "/nowhere/log.json", result);
    expect(error).to.include({ code: 2, message: "OCI runtime create failed: exit status 2: oh no" });
  });
});

describe("the spec version that crun knows", () => {
  it("is in its version text", () => {
    expect(specVersionIn("crun version 1.8.1\ncommit: f8a096be\nspec: 1.0.0\n+SYSTEMD\n")).to.equal("1.0.0");
    expect(specVersionIn("something else")).to.equal(undefined);
  });
});
