import { expect } from "chai";
import fc from "fast-check";
import { validateIdentifier } from "./identifier.ts";

describe("an identifier", () => {
  it("is accepted if containerd accepts it", () => {
    for (const id of ["a", "a1", "a-b_c.d", "A".repeat(76), "0a"]) {
      expect(() => validateIdentifier(id, "id")).not.to.throw();
    }
  });

  it("is refused if containerd refuses it, with the field's name and the value", () => {
    for (const id of ["", "../x", "a/b", ".a", "a.", "a..b", "-a", "a b", "a\0b", "é", "A".repeat(77), "a\n"]) {
      expect(() => validateIdentifier(id, "sandbox id")).to.throw(/sandbox id/);
    }
  });

  it("never lets a path separator or a dot name through, whatever comes", () => {
    fc.assert(
      fc.property(fc.string(), (id) => {
        try {
          validateIdentifier(id, "id");
        } catch {
          return true;
        }
        return /^[A-Za-z0-9]/.test(id) && !id.includes("/") && !id.includes("..") && id.length <= 76;
      }),
    );
  });
});
