import { expect } from "chai";
import { Calls, Disturbed } from "./calls.ts";
import { checkExits } from "./exit-check.ts";
import type { Exits, ToldExit } from "./exits.ts";
import { FaultLog } from "./fault-log.ts";
import { createFindings } from "./finding.ts";
import { PodModel } from "./pod-model.ts";
import { planPod } from "./pod-plan.ts";
import { createRandom } from "./random.ts";
import { subjectOf } from "./subject.ts";

describe("the churn's judgement", () => {
  const podWith = (kind: string) => {
    const random = createRandom(1);
    for (let index = 0; ; index++) {
      const pod = new PodModel(planPod(random, index));
      const own = pod.containers.find(({ plan }) => plan.kind === kind);
      if (own) return { pod, own };
    }
  };
  const { pod: anyPod } = podWith("ends");
  let faults: FaultLog;
  let findings: ReturnType<typeof createFindings>;
  beforeEach(() => {
    faults = new FaultLog();
    findings = createFindings(subjectOf("runc", "default").runtimeCase, () => undefined);
  });
  const kinds = () => findings.all.map(({ kind }) => kind);

  async function fail(pod: PodModel): Promise<void> {
    const failing = new Calls(faults, findings).make("StartContainer", pod, () => Promise.reject(new Error("no")));
    const error = await failing.catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(Disturbed);
  }

  it("is that a call which fails while nothing was killed is a finding", async () => {
    await fail(anyPod);
    expect(kinds()).to.deep.equal(["failure without a fault"]);
  });

  it("is that a call may fail over a fault that is everybody's or its pod's, and over no other pod's", async () => {
    faults.strike("runc", [podWith("stubborn").pod]);
    await fail(anyPod);
    expect(kinds()).to.deep.equal(["failure without a fault"]);
    faults.begin("sandboxer");
    await fail(anyPod);
    expect(findings.all).to.have.lengthOf(1);
  });

  function check(codes: readonly number[], exitCode: number, change: (pod: PodModel) => void = () => undefined): void {
    const { pod, own } = podWith("ends");
    own.id = "id";
    own.exitCode = exitCode;
    change(pod);
    const told: ToldExit[] = codes.map((code) => ({ code, at: Date.now(), subscription: 1 }));
    const exits = { of: () => told } as unknown as Exits;
    checkExits(pod, Date.now() - 1000, { exits, faults, findings });
  }
  const { code } = podWith("ends").own.plan;

  it("is that a container's exit is told once, with its own code", () => {
    check([code], code);
    expect(findings.all).to.deep.equal([]);
    check([code, code], code);
    check([], code);
    check([code + 1], code + 1);
    expect(kinds()).to.deep.equal(["exit told twice", "exit not told", "wrong exit code"]);
  });

  it("is that one which was killed may have ended by that, and no other", () => {
    check([137], 137, (pod) => pod.containers.forEach((own) => void own.kill()));
    expect(findings.all).to.deep.equal([]);
    check([137], 137);
    expect(kinds()).to.deep.equal(["wrong exit code"]);
  });
});
