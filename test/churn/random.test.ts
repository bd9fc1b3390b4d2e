import { expect } from "chai";
import { planPod } from "./pod-plan.ts";
import { createRandom } from "./random.ts";
import { workloads } from "./workloads.ts";

describe("a churn's seed", () => {
  it("makes the same pods again, in whatever order they are made", () => {
    const first = createRandom(7);
    const plans = [0, 1, 2].map((index) => planPod(first, index));
    const second = createRandom(7);
    expect([2, 0, 1].map((index) => planPod(second, index))).to.deep.equal([plans[2], plans[0], plans[1]]);
    expect(planPod(createRandom(8), 0)).not.to.deep.equal(plans[0]);
  });

  it("draws every choice as often as its weight says, and numbers within their bounds", () => {
    const random = createRandom(1);
    const drawn = { often: 0, rarely: 0, never: 0 };
    for (let round = 0; round < 4000; round++) drawn[random.weighted({ often: 3, rarely: 1, never: 0 })] += 1;
    expect(drawn.never).to.equal(0);
    expect(drawn.often).to.be.within(2800, 3200);
    const numbers = Array.from({ length: 200 }, () => random.integer(3, 5));
    expect([...new Set(numbers)].sort()).to.deep.equal([3, 4, 5]);
  });

  it("gives each container's process its name as the last argument, to be found by", () => {
    const random = createRandom(3);
    const containers = Array.from({ length: 30 }, (_, index) => planPod(random, index, { linux: 1, wasm: 1 })).flatMap(
      (pod) => pod.containers,
    );
    for (const container of containers) {
      expect(workloads[container.workload].command(container).at(-1)).to.equal(container.name);
    }
    expect(new Set(containers.map(({ name }) => name)).size).to.equal(containers.length);
  });
});
