import { expect } from "chai";
import { compare } from "./comparison.ts";
import { judge } from "./finding.ts";
import { errorObservation } from "./observation.ts";

const plain = (text: string) => text;

describe("the comparison of two runtimes", () => {
  const seen = (result: string, wording?: string) => [
    { step: "create", result: "ok" },
    { step: "kill 9", result, ...(wording === undefined ? {} : { wording }) },
  ];

  it("finds runs that saw the same alike", () => {
    expect(compare(seen("ok"), seen("ok"))).to.deep.equal({ verdict: "same", differences: [] });
  });

  it("finds another result, a step that is missing, and one too many", () => {
    expect(compare(seen("ok"), seen("NOT_FOUND", "gone"))).to.deep.equal({
      verdict: "different",
      differences: [{ step: "kill 9", reference: "ok", ours: "NOT_FOUND: gone" }],
    });
    expect(compare(seen("ok"), seen("ok").slice(0, 1)).differences).to.deep.equal([
      { step: "kill 9", reference: "ok", ours: undefined },
    ]);
    expect(compare(seen("ok").slice(0, 1), seen("ok")).verdict).to.equal("different");
  });

  it("tells another wording from another result", () => {
    expect(compare(seen("UNKNOWN", "a"), seen("UNKNOWN", "b")).verdict).to.equal("wording");
  });

  it("compares an error's code and the part of its text that callers look for", () => {
    const error = (code: number, details: string) =>
      errorObservation("kill", Object.assign(new Error(details), { code, details }), plain).result;
    expect(error(5, "process already finished: not found")).to.equal('NOT_FOUND "process already finished"');
    expect(error(5, "gone")).not.to.equal(error(5, "process already finished"));
    expect(error(2, "gone")).not.to.equal(error(5, "gone"));
    expect(() => errorObservation("kill", new TypeError("a mistake"), plain)).to.throw(TypeError);
  });

  it("lets a justification cover its own case, step and result, and nothing else", () => {
    const justification = { case: "a", step: "kill 9", ours: /^NOT_FOUND/, why: "because" };
    const verdict = (name: string, ours: string) => judge(name, seen("ok"), seen(ours), [justification]).verdict;
    expect(verdict("a", "NOT_FOUND")).to.equal("justified");
    expect(verdict("a", "UNKNOWN")).to.equal("different");
    expect(verdict("b", "NOT_FOUND")).to.equal("different");
    const alsoElse = judge(
      "a",
      seen("ok"),
      [{ step: "create", result: "no" }, ...seen("NOT_FOUND").slice(1)],
      [justification],
    );
    expect(alsoElse.verdict).to.equal("different");
  });
});
