import { assert } from "chai";
import { type Finding, findingsTable, holds } from "./report.ts";

const finding = (candidate: number, target?: Finding["target"]): Finding => ({
  what: "something",
  unit: "ms",
  baseline: 10,
  candidate,
  ...(target ? { target } : {}),
});

describe("a finding of the bench", () => {
  it("holds a bound of the ratio", () => {
    const target = { kind: "ratio", bound: "at most", limit: 0.5 } as const;
    assert.isTrue(holds(finding(5, target)));
    assert.isFalse(holds(finding(5.1, target)));
  });

  it("holds a bound of the figure itself", () => {
    const target = { kind: "value", bound: "at least", limit: 7 } as const;
    assert.isTrue(holds(finding(7, target)));
    assert.isFalse(holds(finding(6.9, target)));
  });

  it("has no verdict where nothing was promised", () => {
    assert.isUndefined(holds(finding(5)));
  });

  it("is a line of the table", () => {
    assert.match(findingsTable([finding(5)], ["one", "other"]), /something.*10\.0 ms.*5\.00 ms.*0\.50x/);
  });
});
