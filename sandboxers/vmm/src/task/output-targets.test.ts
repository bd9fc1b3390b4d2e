import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, SandboxError } from "@kuasar/framework/error/sandbox-error";
import { expect } from "chai";
import { processOutputs, requireThere } from "./output-targets.ts";

describe("where the output of a process in a machine goes", () => {
  let folder: string;
  const path = (name: string) => join(folder, name);
  const outputs = (stdout: string, stderr: string, terminal = false) =>
    processOutputs({ stdin: "", stdout, stderr, terminal }, path("io"));

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
    execFileSync("mkfifo", [path("fifo")]);
    writeFileSync(path("file"), "");
  });
  after(() => rmSync(folder, { recursive: true }));

  it("is the client's FIFOs, for which the monitor has nothing to make", () => {
    const fifo = { path: path("fifo"), kind: "fifo" };
    expect(outputs(path("fifo"), "")).to.deep.equal({ stdout: fifo, stderr: undefined, log: undefined });
    // One that its client has taken away is not made anew, as a file.
    expect(outputs(path("gone"), "").stdout).to.deep.equal({ path: path("gone"), kind: "fifo" });
  });

  it("is files, which the monitor makes", () => {
    const uri = `file://${path("a%20log")}`;
    expect(outputs(uri, path("file"))).to.deep.equal({
      stdout: { path: path("a log"), kind: "file" },
      stderr: { path: path("file"), kind: "file" },
      log: { stdout: uri, stderr: path("file"), stdoutFifo: "", stderrFifo: "" },
    });
    expect(outputs(uri, path("fifo")).log).to.deep.equal({ stdout: uri, stderr: "", stdoutFifo: "", stderrFifo: "" });
  });

  it("is one log driver's FIFO for each stream, and for a terminal one", () => {
    const uri = "binary:///bin/logger?a=b";
    const [stdout, stderr] = [path("io.1.log"), path("io.2.log")];
    expect(outputs(uri, "")).to.deep.equal({
      stdout: { path: stdout, kind: "driver" },
      stderr: { path: stderr, kind: "driver" },
      log: { stdout: uri, stderr: "", stdoutFifo: stdout, stderrFifo: stderr },
    });
    const shown = outputs(uri, "", true);
    expect(shown.stderr).to.equal(undefined);
    expect(shown.log).to.deep.equal({ stdout: uri, stderr: "", stdoutFifo: stdout, stderrFifo: "" });
  });

  it("is refused where it is neither, or a path that is not there", () => {
    for (const uri of ["nosuch:///x", "relative"]) {
      expect(() => outputs(uri, ""), uri)
        .to.throw(SandboxError, /^stdout: expected an absolute path/)
        .with.property("code", ErrorCode.INVALID_ARGUMENT);
    }
    expect(() => requireThere({ stdin: "", stdout: path("gone"), stderr: "", terminal: false }))
      .to.throw(SandboxError, /^failed to open stdio: stat .*gone/)
      .with.property("code", ErrorCode.UNKNOWN);
    requireThere({ stdin: "", stdout: `file://${path("gone")}`, stderr: path("gone"), terminal: true });
  });
});
