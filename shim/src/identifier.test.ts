import { expect } from "chai";
import { requireIdentifier } from "./identifier.ts";

describe("an id that becomes part of a path", () => {
  for (const id of ["a", "k8s.io", "default", "0123456789abcdef".repeat(4), "a-b_c.d"]) {
    it(`may be ${id}`, () => {
      expect(requireIdentifier("id", id)).to.equal(id);
    });
  }
  for (const id of ["", "../x", "a/b", "a..b", ".a", "a-", "a b", "a\0", "ä", "a".repeat(77)]) {
    it(`may not be ${JSON.stringify(id)}`, () => {
      expect(() => requireIdentifier("id", id)).to.throw(/^id: expected letters and digits/);
    });
  }
});
