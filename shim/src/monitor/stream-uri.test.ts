import { expect } from "chai";
import { StatusError } from "ttrpc-ts";
import { parseStreamUri } from "./stream-uri.ts";

const parse = (uri: string) => parseStreamUri("stdout", uri);

describe("where output goes", () => {
  it("is nowhere, or a path as it is", () => {
    expect(parse("")).to.deep.equal({ kind: "nowhere" });
    expect(parse("/run/a%20b?c")).to.deep.equal({ kind: "path", path: "/run/a%20b?c" });
  });

  it("may be a file's URI, with what Go has escaped in it", () => {
    expect(parse("file:///var/log/a%20b%25.log")).to.deep.equal({ kind: "path", path: "/var/log/a b%.log" });
  });

  it("may be a program, with the first value of each argument", () => {
    const program = "/opt/log driver";
    expect(parse("binary:///opt/log%20driver?z=1&a=x+y&a=2&flag")).to.deep.equal({
      kind: "driver",
      program,
      args: ["a", "x y", "flag", "", "z", "1"],
    });
  });

  it("is refused where it is none of these", () => {
    for (const uri of ["nosuch:///x", "file://host/x", "relative", "file:///%zz", "binary://"]) {
      expect(() => parse(uri), uri).to.throw(StatusError, /^stdout: expected an absolute path/);
    }
  });
});
