import { expect } from "chai";
import * as sys from "./sys.ts";

// What does not fit the native module's declaration does not compile.
const declared: typeof import("sys") = sys;

describe("the module sys on Node", () => {
  it("has every function of the native module", () => {
    expect(declared.readFile).to.equal(sys.readFile);
  });
});
