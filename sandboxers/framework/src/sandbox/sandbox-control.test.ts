import { join } from "node:path";
import { expect } from "chai";
import { readLastRecord } from "../store/record-file.ts";
import { createNodeFixture, NAMESPACE, type NodeFixture } from "../testing/node-fixture.ts";
import { rejects } from "../testing/rejects.ts";

describe("a sandbox as a whole", () => {
  let node: NodeFixture;
  beforeEach(async () => {
    node = await createNodeFixture();
    await start("pod");
  });
  afterEach(() => node.close());

  async function start(id: string): Promise<void> {
    await node.domain.sandboxes.create(node.sandboxRequest(id));
    await node.domain.sandboxes.start(NAMESPACE, id, 0);
  }
  const stateOf = (id: string) =>
    JSON.parse(readLastRecord(join(node.dir, NAMESPACE, id, "sandbox.json")) ?? "").state as string;

  it("is paused and goes on, and is ready to CRI all the time", async () => {
    const { sandboxes } = node.domain;
    await sandboxes.pause(NAMESPACE, "pod");
    expect(stateOf("pod")).to.equal("paused");
    expect(sandboxes.status(NAMESPACE, "pod").state).to.equal("SANDBOX_READY");
    await rejects(sandboxes.pause(NAMESPACE, "pod"), 2, /cannot pause a paused container/);
    await sandboxes.resume(NAMESPACE, "pod");
    expect(stateOf("pod")).to.equal("ready");
    await rejects(sandboxes.resume(NAMESPACE, "pod"), 2, /cannot resume a running process/);
    expect(node.sandboxer.whole.done).to.deep.equal(["pause pod", "resume pod"]);
  });

  it("that does not stand still is running", async () => {
    await start("restless");
    await rejects(node.domain.sandboxes.pause(NAMESPACE, "restless"), 14, /does not stand still/);
    expect(stateOf("restless")).to.equal("ready");
  });

  it("that is paused takes no new container and no exec", async () => {
    const pod = node.domain.registry.get(NAMESPACE, "pod");
    await node.domain.tasks.create(pod, node.taskRequest("c1", "sleep 1000"), 0);
    await node.domain.tasks.start(pod, "c1", 0);
    await node.domain.sandboxes.pause(NAMESPACE, "pod");
    await rejects(node.domain.tasks.create(pod, node.taskRequest("c2", "true"), 0), 9, /is paused/);
    const io = { stdin: "", stdout: "", stderr: "", terminal: false };
    expect(() => node.domain.execs.add(pod, { taskId: "c1", execId: "e1", io, spec: "{}" })).to.throw(
      "cannot exec in a paused state",
    );
  });

  it("that was noted as paused is paused again by the next sandboxer, which may have been killed before it was", async () => {
    await node.domain.sandboxes.pause(NAMESPACE, "pod");
    await node.restart();
    expect(stateOf("pod")).to.equal("paused");
    expect(node.sandboxer.whole.done).to.deep.equal(["pause pod", "pause pod"]);
  });

  it("goes on before it is stopped, and before it is removed", async () => {
    await node.domain.sandboxes.pause(NAMESPACE, "pod");
    await node.domain.sandboxes.stop(NAMESPACE, "pod", 0);
    expect(stateOf("pod")).to.equal("stopped");
    await start("other");
    await node.domain.sandboxes.pause(NAMESPACE, "other");
    await node.domain.sandboxes.shutdown(NAMESPACE, "other");
    expect(node.sandboxer.whole.done).to.deep.equal(["pause pod", "resume pod", "pause other", "resume other"]);
  });

  it("has limits of its own, which change only while it is there", async () => {
    await node.domain.sandboxes.update(NAMESPACE, "pod", { cpu: { shares: 2 } });
    expect(node.sandboxer.whole.done).to.deep.equal(['update pod {"cpu":{"shares":2}}']);
    await node.domain.sandboxes.stop(NAMESPACE, "pod", 0);
    await rejects(node.domain.sandboxes.update(NAMESPACE, "pod", {}), 2, /cannot update a stopped container/);
  });
});
