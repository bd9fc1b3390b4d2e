import { isIP } from "node:net";
import { expect } from "chai";
import fc from "fast-check";
import { parseIpPrefix } from "./ip-address.ts";

describe("an IP prefix", () => {
  it("is an address and a length", () => {
    expect(parseIpPrefix("10.88.0.5/16")).to.deep.equal({ bytes: [10, 88, 0, 5], length: 16 });
    expect(parseIpPrefix("fd00::5/64")).to.deep.equal({ bytes: [0xfd, ...new Array(14).fill(0), 5], length: 64 });
  });

  it("is the address alone without a length", () => {
    expect(parseIpPrefix("10.88.0.1").length).to.equal(32);
    expect(parseIpPrefix("::1").length).to.equal(128);
    expect(parseIpPrefix("::ffff:10.0.0.1").bytes.slice(10)).to.deep.equal([255, 255, 10, 0, 0, 1]);
  });

  it("is any address that Node takes for one", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        fc.pre(isIP(address) !== 0);
        expect(parseIpPrefix(address).bytes).to.have.length(isIP(address) === 4 ? 4 : 16);
      }),
    );
  });

  for (const text of [
    "",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.1/33",
    "10.0.0.1/x",
    ":::",
    "1::2::3",
    "12345::",
    "::g",
    "1:2:3",
  ]) {
    it(`is not ${JSON.stringify(text)}`, () => {
      expect(() => parseIpPrefix(text)).to.throw(`expected an IP address or prefix, got ${JSON.stringify(text)}`);
    });
  }
});
