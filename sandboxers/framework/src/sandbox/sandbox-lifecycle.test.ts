import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { readLastRecord } from "../store/record-file.ts";
import { createNodeFixture, NAMESPACE, type NodeFixture } from "../testing/node-fixture.ts";
import { rejects } from "../testing/rejects.ts";

describe("a sandbox", () => {
  let node: NodeFixture;
  beforeEach(async () => {
    node = await createNodeFixture();
  });
  afterEach(() => node.close());

  const record = (id: string) => JSON.parse(readLastRecord(join(node.dir, NAMESPACE, id, "sandbox.json")) ?? "");

  it("is created, started, waited for, stopped and removed", async () => {
    const { sandboxes } = node.domain;
    await sandboxes.create(node.sandboxRequest("pod"));
    expect(record("pod").state).to.equal("created");
    const { pid } = await sandboxes.start(NAMESPACE, "pod", 0);
    expect(existsSync(`/proc/${pid}`)).to.equal(true);
    expect(record("pod")).to.include({ state: "ready", pid });
    const waiting = sandboxes.wait(NAMESPACE, "pod");
    await sandboxes.stop(NAMESPACE, "pod", 0);
    expect((await waiting).status).to.equal(137);
    expect(sandboxes.status(NAMESPACE, "pod").state).to.equal("SANDBOX_NOTREADY");
    await sandboxes.shutdown(NAMESPACE, "pod");
    expect(existsSync(join(node.dir, NAMESPACE))).to.equal(false);
    expect(node.monitor.released).to.include("pod");
  });

  it("that has ended by itself has the reason in its status", async () => {
    const { sandboxes, registry } = node.domain;
    node.sandboxer.reason = "its process was ended by signal 9";
    await sandboxes.create(node.sandboxRequest("pod"));
    const { pid } = await sandboxes.start(NAMESPACE, "pod", 0);
    process.kill(pid, "SIGKILL");
    expect((await sandboxes.wait(NAMESPACE, "pod")).status).to.equal(137);
    expect(JSON.parse(sandboxes.status(NAMESPACE, "pod").info.info ?? "").endReason).to.equal(node.sandboxer.reason);
    expect(registry.get(NAMESPACE, "pod").record.exit).to.not.have.property("reason");
  });

  it("that is to be removed does not wait for its start", async () => {
    const { sandboxes } = node.domain;
    await sandboxes.create(node.sandboxRequest("pod"));
    const start = new Promise<number>((_, reject) => {
      node.sandboxer.interruptStart = () => reject(new Error("interrupted"));
    });
    node.sandboxer.start = () => start;
    const starting = sandboxes.start(NAMESPACE, "pod", 0).catch((error: Error) => error.message);
    await sandboxes.shutdown(NAMESPACE, "pod");
    expect(await starting).to.equal("interrupted");
    expect(existsSync(join(node.dir, NAMESPACE))).to.equal(false);
  });

  it("whose making fails leaves nothing behind, and can be made again", async () => {
    const { sandboxes } = node.domain;
    await rejects(sandboxes.create(node.sandboxRequest("pod", { netnsPath: "/fails" })), 3, /namespace fails/);
    expect(existsSync(join(node.dir, NAMESPACE))).to.equal(false);
    await sandboxes.create(node.sandboxRequest("pod"));
  });

  it("whose options are bad is refused before anything is made", async () => {
    const request = node.sandboxRequest("pod", { options: { typeUrl: "bad", value: new Uint8Array() } });
    await rejects(node.domain.sandboxes.create(request), 3, /bad options/);
    expect(node.sandboxer.created).to.deep.equal([]);
  });

  it("is refused if there is one of that id", async () => {
    await node.domain.sandboxes.create(node.sandboxRequest("pod"));
    await rejects(node.domain.sandboxes.create(node.sandboxRequest("pod")), 6, /already exists/);
  });

  it("is not found if there is none", async () => {
    await rejects(node.domain.sandboxes.start(NAMESPACE, "pod", 0), 5, /does not exist/);
    await rejects(node.domain.sandboxes.shutdown(NAMESPACE, "pod"), 5, /does not exist/);
  });

  it("is refused if its id would leave the state directory", async () => {
    await rejects(node.domain.sandboxes.create(node.sandboxRequest("../x")), 3, /must match/);
    await rejects(node.domain.sandboxes.create(node.sandboxRequest("x", { namespace: "a/b" })), 3, /must match/);
  });

  it("cannot be started twice", async () => {
    await node.domain.sandboxes.create(node.sandboxRequest("pod"));
    await node.domain.sandboxes.start(NAMESPACE, "pod", 0);
    await rejects(node.domain.sandboxes.start(NAMESPACE, "pod", 0), 9, /is ready/);
  });

  it("takes its tasks with it", async () => {
    const { sandboxes, tasks, queries, registry } = node.domain;
    await sandboxes.create(node.sandboxRequest("pod"));
    await sandboxes.start(NAMESPACE, "pod", 0);
    const sandbox = registry.get(NAMESPACE, "pod");
    await tasks.create(sandbox, node.taskRequest("c1", "sleep 1000"), 0);
    const waiting = queries.wait(sandbox, "c1", "");
    await sandboxes.shutdown(NAMESPACE, "pod");
    expect((await waiting).status).to.equal(137);
    expect(node.sandboxer.discarded).to.deep.equal(["c1"]);
  });

  it("goes when its shim dies, whatever state it is in, though nobody asks for that", async () => {
    const { sandboxes, tasks, registry } = node.domain;
    await sandboxes.create(node.sandboxRequest("created"));
    await sandboxes.create(node.sandboxRequest("ready"));
    await sandboxes.start(NAMESPACE, "ready", 0);
    await tasks.create(registry.get(NAMESPACE, "ready"), node.taskRequest("c1", "sleep 1000"), 0);
    await node.monitor.die();
    while (registry.all().length > 0) await sleep(10);
    expect(node.sandboxer.discarded).to.deep.equal(["c1"]);
    expect(existsSync(join(node.dir, NAMESPACE))).to.equal(false);
  });

  for (const takesSignals of [true, undefined]) {
    it(`${takesSignals ? "spares" : "stops"} its tasks when a signal ends its process`, async () => {
      const { sandboxes, tasks, queries, registry } = node.domain;
      Object.assign(node.sandboxer, { takesSignals });
      await sandboxes.create(node.sandboxRequest("pod"));
      await sandboxes.start(NAMESPACE, "pod", 0);
      const sandbox = registry.get(NAMESPACE, "pod");
      await tasks.create(sandbox, node.taskRequest("c1", "sleep 1000"), 0);
      await tasks.start(sandbox, "c1", 0);
      await sandboxes.signal(NAMESPACE, "pod", 9);
      expect((await sandboxes.wait(NAMESPACE, "pod")).status).to.equal(137);
      if (!takesSignals) expect((await queries.wait(sandbox, "c1", "")).status).to.equal(137);
      expect(queries.state(sandbox, "c1", "").state).to.equal(takesSignals ? "running" : "stopped");
      await rejects(sandboxes.signal(NAMESPACE, "pod", 9), 5, /already finished/);
      await sandboxes.shutdown(NAMESPACE, "pod");
    });
  }

  it("outlives its own bundle while its shim lives and it has tasks", async () => {
    const { sandboxes, tasks, registry } = node.domain;
    await sandboxes.create(node.sandboxRequest("pod"));
    await sandboxes.start(NAMESPACE, "pod", 0);
    const sandbox = registry.get(NAMESPACE, "pod");
    await tasks.create(sandbox, node.taskRequest("c1", "exit 3"), 0);
    await tasks.start(sandbox, "c1", 0);
    await sandboxes.cleanUp(NAMESPACE, "pod");
    expect((await sandbox.tasks.get("c1")?.exit("").promise)?.status).to.equal(3);
    await tasks.delete(sandbox, "c1");
    await sandboxes.cleanUp(NAMESPACE, "pod");
    expect(registry.find(NAMESPACE, "pod")).to.equal(undefined);
  });

  it("starts a monitor of its own if nobody brought one", async () => {
    await node.domain.sandboxes.create(node.sandboxRequest("pod", { monitorAddress: "" }));
    expect(record("pod").monitorAddress).to.match(/own0$/);
    expect((await node.domain.sandboxes.start(NAMESPACE, "pod", 0)).pid).to.be.greaterThan(0);
  });
});
