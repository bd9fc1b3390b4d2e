import { assert } from "chai";
import { allCases } from "./cases/all.ts";
import { closeStages, openStages, type Subject, subjects } from "./conformance-run.ts";
import { type Finding, findOut, type Stages } from "./finding.ts";
import { justifications } from "./justified.ts";
import { consoleRow } from "./report.ts";

describe("the kuasar shim does what containerd's runc shim does", function () {
  this.timeout(180_000);
  let stages: Stages | undefined;
  const findings = new Map<string, Finding>();

  before(async () => {
    stages = await openStages(subjects.runc as Subject);
  });
  after(async () => {
    if (stages) await closeStages(stages);
  });

  for (const [index, conformanceCase] of allCases.entries()) {
    if (conformanceCase.slow) {
      it.skip(`${conformanceCase.name} (slow: npm run conformance)`);
      continue;
    }
    it(conformanceCase.name, async () => {
      if (!stages) throw new Error("there is no containerd to compare with");
      const finding = await findOut(stages, conformanceCase, `case-${index}`, justifications);
      findings.set(finding.case, finding);
      assert.notEqual(finding.verdict, "different", consoleRow(finding));
    });
  }

  it("needs each of the named exceptions", () => {
    const used = new Set([...findings.values()].flatMap(({ justified }) => justified));
    const unused = justifications.filter(
      (justification) => !justification.byChance && findings.has(`${justification.case}`) && !used.has(justification),
    );
    assert.deepEqual(unused, []);
  });
});
