import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { readLastRecord } from "../store/record-file.ts";
import { createNodeFixture, NAMESPACE, type NodeFixture } from "../testing/node-fixture.ts";
import { rejects } from "../testing/rejects.ts";

const IO = { stdin: "", stdout: "", stderr: "", terminal: false };

describe("a task", () => {
  let node: NodeFixture;
  let sandbox: Sandbox;
  beforeEach(async () => {
    node = await createNodeFixture();
    await node.domain.sandboxes.create(node.sandboxRequest("pod"));
    await node.domain.sandboxes.start(NAMESPACE, "pod", 0);
    sandbox = node.domain.registry.get(NAMESPACE, "pod");
  });
  afterEach(() => node.close());

  const stored = (id: string) =>
    JSON.parse(readLastRecord(join(node.dir, NAMESPACE, "pod", "tasks", `${id}.json`)) ?? "");
  const run = async (id: string, command: string) => {
    await node.domain.tasks.create(sandbox, node.taskRequest(id, command), 0);
    return await node.domain.tasks.start(sandbox, id, 0);
  };

  it("is created, started, waited for and deleted", async () => {
    const { queries, tasks } = node.domain;
    const pid = await run("c1", "sleep 0.1; exit 7");
    expect(stored("c1")).to.include({ state: "running", pid });
    expect(queries.state(sandbox, "c1", "").state).to.equal("running");
    expect((await queries.wait(sandbox, "c1", "")).status).to.equal(7);
    expect(queries.state(sandbox, "c1", "").state).to.equal("stopped");
    const deleted = await tasks.delete(sandbox, "c1");
    expect(deleted).to.deep.include({ pid });
    expect(deleted.exit?.status).to.equal(7);
  });

  it("gives the same answer to a second Delete, and is not found by anything else", async () => {
    const { queries, tasks } = node.domain;
    await run("c1", "exit 3");
    await queries.wait(sandbox, "c1", "");
    const first = await tasks.delete(sandbox, "c1");
    expect(await tasks.delete(sandbox, "c1")).to.deep.equal(first);
    await rejects(queries.wait(sandbox, "c1", ""), 5, /container not created/);
    expect(() => queries.state(sandbox, "c1", "")).to.throw(/container not created/);
    await node.restart();
    sandbox = node.domain.registry.get(NAMESPACE, "pod");
    expect(await node.domain.tasks.delete(sandbox, "c1")).to.deep.equal(first);
  });

  it("can be made again under the id of a deleted one", async () => {
    await run("c1", "exit 3");
    await node.domain.queries.wait(sandbox, "c1", "");
    await node.domain.tasks.delete(sandbox, "c1");
    await run("c1", "exit 4");
    expect((await node.domain.queries.wait(sandbox, "c1", "")).status).to.equal(4);
  });

  it("whose making fails is undone", async () => {
    await rejects(node.domain.tasks.create(sandbox, node.taskRequest("c1", "fail"), 0), 3, /the runtime fails/);
    expect(node.sandboxer.discarded).to.deep.equal(["c1"]);
    expect(existsSync(join(node.dir, NAMESPACE, "pod", "tasks", "c1.json"))).to.equal(false);
    await run("c1", "exit 0");
  });

  it("is refused if its id or its bundle are bad", async () => {
    const { tasks } = node.domain;
    const request = node.taskRequest("c1", "exit 0");
    await rejects(tasks.create(sandbox, { ...request, id: "../x" }, 0), 3, /must match/);
    await rejects(tasks.create(sandbox, { ...request, bundle: "relative" }, 0), 3, /must be an absolute path/);
    await rejects(tasks.create(sandbox, { ...request, bundle: "/nowhere/at/all" }, 0), 3, /cannot be used/);
    await rejects(tasks.create(sandbox, { ...request, bundle: `${request.bundle}/../c1` }, 0), 3, /must not contain/);
  });

  it("is refused if there is one of that id, in whichever sandbox", async () => {
    await run("c1", "sleep 1000");
    await rejects(node.domain.tasks.create(sandbox, node.taskRequest("c1", "exit 0"), 0), 6, /already exists/);
    await node.domain.sandboxes.create(node.sandboxRequest("other"));
    await node.domain.sandboxes.start(NAMESPACE, "other", 0);
    const other = node.domain.registry.get(NAMESPACE, "other");
    await rejects(node.domain.tasks.create(other, node.taskRequest("c1", "exit 0"), 0), 6, /already exists/);
  });

  it("is refused in a sandbox that is not ready", async () => {
    await node.domain.sandboxes.create(node.sandboxRequest("new"));
    const fresh = node.domain.registry.get(NAMESPACE, "new");
    await rejects(node.domain.tasks.create(fresh, node.taskRequest("c1", "exit 0"), 0), 9, /needs it to be ready/);
  });

  it("cannot be started twice or deleted while it runs, in the runc shim's words", async () => {
    await run("c1", "sleep 1000");
    await rejects(node.domain.tasks.start(sandbox, "c1", 0), 2, /^cannot start a running process$/);
    await rejects(node.domain.tasks.delete(sandbox, "c1"), 2, /^cannot delete a running process$/);
  });

  it("is killed, and then cannot be killed again", async () => {
    const { control, queries } = node.domain;
    await run("c1", "sleep 1000");
    await control.kill(sandbox, "c1", "", 15, false);
    expect((await queries.wait(sandbox, "c1", "")).status).to.equal(143);
    await rejects(control.kill(sandbox, "c1", "", 9, false), 5, /process already finished/);
    await rejects(control.kill(sandbox, "c1", "nobody", 9, false), 5, /process does not exist/);
    await rejects(control.kill(sandbox, "c1", "", 65, false), 3, /out of range/);
  });

  it("is paused and resumed", async () => {
    const { control, queries } = node.domain;
    await run("c1", "sleep 1000");
    await control.pause(sandbox, "c1", 0);
    expect(queries.state(sandbox, "c1", "").state).to.equal("paused");
    await rejects(control.pause(sandbox, "c1", 0), 2, /cannot pause a paused container/);
    await control.resume(sandbox, "c1", 0);
    await rejects(control.resume(sandbox, "c1", 0), 2, /cannot resume a running process/);
  });

  it("runs other processes beside its own", async () => {
    const { execs, queries } = node.domain;
    await run("c1", "sleep 1000");
    const spec = JSON.stringify({ args: ["/bin/sh", "-c", "exit 5"] });
    execs.add(sandbox, { taskId: "c1", execId: "e1", io: IO, spec });
    expect(() => execs.add(sandbox, { taskId: "c1", execId: "e1", io: IO, spec })).to.throw(/^id e1$/);
    expect(queries.state(sandbox, "c1", "e1").state).to.equal("created");
    const pid = await execs.start(sandbox, "c1", "e1", 0);
    expect((await queries.wait(sandbox, "c1", "e1")).status).to.equal(5);
    const deleted = await execs.delete(sandbox, "c1", "e1");
    expect(deleted).to.deep.include({ pid });
    expect(await execs.delete(sandbox, "c1", "e1")).to.deep.include(deleted);
    expect(() => queries.state(sandbox, "c1", "e1")).to.throw(/process does not exist/);
  });

  it("starts no process once its own has ended", async () => {
    const { execs, queries } = node.domain;
    await run("c1", "sleep 0.1");
    execs.add(sandbox, { taskId: "c1", execId: "e1", io: IO, spec: JSON.stringify({ args: ["/bin/true"] }) });
    await queries.wait(sandbox, "c1", "");
    await rejects(execs.start(sandbox, "c1", "e1", 0), 9, /init process is not running/);
  });

  it("refuses a process that is none", async () => {
    await run("c1", "sleep 1000");
    const add = (spec: string) => () => node.domain.execs.add(sandbox, { taskId: "c1", execId: "e", io: IO, spec });
    expect(add("{")).to.throw(/not JSON/);
    expect(add("[]")).to.throw(/expected an OCI process/);
  });
});
