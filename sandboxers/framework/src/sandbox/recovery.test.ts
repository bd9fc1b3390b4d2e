import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { readLastRecord } from "../store/record-file.ts";
import { createNodeFixture, NAMESPACE, type NodeFixture } from "../testing/node-fixture.ts";

describe("a sandboxer that was killed", () => {
  let node: NodeFixture;
  beforeEach(async () => {
    node = await createNodeFixture();
    await node.domain.sandboxes.create(node.sandboxRequest("pod"));
    await node.domain.sandboxes.start(NAMESPACE, "pod", 0);
  });
  afterEach(() => node.close());

  const pod = () => node.domain.registry.get(NAMESPACE, "pod");
  const file = (...names: string[]) => join(node.dir, NAMESPACE, "pod", ...names);
  const edit = (path: string, change: object) =>
    writeFileSync(path, `${JSON.stringify({ ...JSON.parse(readLastRecord(path) ?? ""), ...change })}\n`);
  const run = async (id: string, command: string) => {
    await node.domain.tasks.create(pod(), node.taskRequest(id, command), 0);
    await node.domain.tasks.start(pod(), id, 0);
  };

  const removed = async () => {
    while (node.domain.registry.all().length > 0) await sleep(10);
    expect(existsSync(join(node.dir, NAMESPACE))).to.equal(false);
  };

  it("finds its pods and tasks again, and answers waits", async () => {
    await run("c1", "sleep 0.3; exit 6");
    await node.restart();
    expect(node.domain.sandboxes.status(NAMESPACE, "pod").state).to.equal("SANDBOX_READY");
    expect(node.domain.queries.state(pod(), "c1", "").state).to.equal("running");
    expect((await node.domain.queries.wait(pod(), "c1", "")).status).to.equal(6);
  });

  it("knows how those processes ended that ended meanwhile", async () => {
    await run("c1", "exit 42");
    await sleep(50);
    await node.restart();
    expect((await node.domain.queries.wait(pod(), "c1", "")).status).to.equal(42);
  });

  it("undoes a task that was being made", async () => {
    await run("c1", "sleep 1000");
    edit(file("tasks", "c1.json"), { state: "creating" });
    await node.restart();
    expect(node.sandboxer.discarded).to.deep.equal(["c1"]);
    expect(readdirSync(file("tasks"))).to.deep.equal([]);
    await run("c1", "exit 0");
  });

  it("undoes a sandbox that was being made or removed", async () => {
    edit(file("sandbox.json"), { state: "deleting" });
    await node.restart();
    expect(node.domain.registry.all()).to.deep.equal([]);
    expect(readdirSync(node.dir)).to.deep.equal([]);
  });

  it("takes up a start that took place", async () => {
    const { pid } = pod().record;
    await run("c1", "sleep 1000");
    edit(file("sandbox.json"), { state: "starting", pid: 0 });
    edit(file("tasks", "c1.json"), { state: "starting" });
    await node.restart();
    expect(pod().record).to.include({ state: "ready", pid });
    expect(node.domain.queries.state(pod(), "c1", "").state).to.equal("running");
  });

  it("undoes a start that takes more than a process, and can start the sandbox then", async () => {
    node.sandboxer.undoStart = (sandbox) => node.sandboxer.stop(sandbox, 0);
    const { pid } = pod().record;
    edit(file("sandbox.json"), { state: "starting", pid: 0 });
    await node.restart();
    expect(pod().record).to.include({ state: "created", pid: 0 });
    expect(existsSync(`/proc/${pid}`)).to.equal(false);
    await node.domain.sandboxes.start(NAMESPACE, "pod", 0);
    expect(pod().record.state).to.equal("ready");
  });

  it("can be asked to delete again what it was deleting", async () => {
    await run("c1", "exit 1");
    await node.domain.queries.wait(pod(), "c1", "");
    edit(file("tasks", "c1.json"), { state: "deleting" });
    await node.restart();
    expect((await node.domain.tasks.delete(pod(), "c1")).exit?.status).to.equal(1);
  });

  it("answers 255 for a process that nobody knows about, and for no other reason", async () => {
    await run("c1", "sleep 1000");
    edit(file("tasks", "c1.json"), { id: "c2" });
    writeFileSync(file("tasks", "c2.json"), readFileSync(file("tasks", "c1.json")));
    edit(file("tasks", "c1.json"), { id: "c1" });
    await node.restart();
    expect((await node.domain.queries.wait(pod(), "c2", "")).status).to.equal(255);
    expect(node.domain.queries.state(pod(), "c1", "").state).to.equal("running");
  });

  it("removes a pod whose shim died meanwhile, though nobody asks for that", async () => {
    await run("c1", "sleep 1000");
    await node.monitor.die();
    await node.restart();
    await removed();
    expect(node.sandboxer.discarded).to.include("c1");
  });

  it("goes on with the removal of a pod whose shim died", async () => {
    await run("c1", "sleep 1000");
    edit(file("sandbox.json"), { state: "deleting", orphaned: true, ownMonitor: true });
    await node.restart();
    await removed();
  });

  it("refuses a store that it cannot read, names the file, and touches nothing", async () => {
    for (const [content, reason] of [
      ["{", /sandbox\.json cannot be read: it has no whole line/],
      ["{\n", /sandbox\.json cannot be read/],
      ["[]\n", /expected a JSON object/],
      [`${JSON.stringify({ version: 99 })}\n`, /version 99, written by a later sandboxer/],
      [`${JSON.stringify({ version: 1, id: "pod", namespace: NAMESPACE })}\n`, /kind should be a string/],
      [
        `${JSON.stringify({ ...JSON.parse(readLastRecord(file("sandbox.json")) ?? ""), state: "odd" })}\n`,
        /not a known state/,
      ],
    ] as const) {
      const before = readFileSync(file("sandbox.json"));
      writeFileSync(file("sandbox.json"), content);
      const error = await node.restart().then(
        () => undefined,
        (thrown: Error) => thrown,
      );
      expect(error?.message).to.match(reason);
      expect(readFileSync(file("sandbox.json"), "utf8")).to.equal(content);
      writeFileSync(file("sandbox.json"), before);
    }
  });

  it("refuses a store of another kind of sandboxer", async () => {
    edit(file("sandbox.json"), { kind: "wasm" });
    const error = await node.restart().catch((thrown: Error) => thrown);
    expect(String(error)).to.match(/of kind wasm, expected fake/);
  });

  it("sweeps away drafts that an interrupted write left", async () => {
    writeFileSync(file("sandbox.json.1.2.tmp"), "{");
    mkdirSync(join(node.dir, NAMESPACE, ".new-x", "tasks"), { recursive: true });
    await node.restart();
    expect(readdirSync(join(node.dir, NAMESPACE))).to.deep.equal(["pod"]);
    expect(readdirSync(file()).sort()).to.deep.equal(["sandbox.json", "tasks"]);
  });
});
