import { expect } from "chai";
import { parseMountOptions } from "./mount-options.ts";

describe("mount options", () => {
  it("are flags, propagation and the file system's own data", () => {
    expect(parseMountOptions(["nosuid", "ro", "lowerdir=/a:/b", "rslave", "upperdir=/c"])).to.deep.equal({
      flags: 2 | 1,
      propagation: (1 << 19) | 16384,
      data: ["lowerdir=/a:/b", "upperdir=/c"],
    });
  });

  it("take back what an earlier one said", () => {
    expect(parseMountOptions(["ro", "noexec", "rw", "exec"]).flags).to.equal(0);
  });

  it("make a recursive bind mount of rbind", () => {
    expect(parseMountOptions(["rbind"]).flags).to.equal(4096 | 16384);
  });
});
