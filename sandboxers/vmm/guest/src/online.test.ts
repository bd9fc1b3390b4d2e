import { expect } from "chai";
import { cpusIn } from "./online.ts";

describe("the kernel's lists of processors", () => {
  for (const [list, cpus] of [
    ["0\n", [0]],
    ["0-2,4\n", [0, 1, 2, 4]],
    ["\n", []],
  ] as const) {
    it(`reads ${JSON.stringify(list)}`, () => {
      expect(cpusIn(list)).to.deep.equal(cpus);
    });
  }
});
