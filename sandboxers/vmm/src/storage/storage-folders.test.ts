import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import { expect } from "chai";
import { createStorageFolders } from "./storage-folders.ts";

const sandbox = (id: string) => ({ record: { namespace: "k8s.io", id } }) as Sandbox;
const task = (id: string) => ({ id }) as Task;

describe("where containers' files lie", () => {
  let state: string;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), "kuasar-state-"));
  });
  afterEach(() => rmSync(state, { recursive: true }));

  it("has a folder a container, which goes with it, and nothing once the last pod has gone", () => {
    const folders = createStorageFolders("", state);
    const [one, other] = ["c1", "c2"].map((id) => folders.make(sandbox("p1"), task(id))) as [string, string];
    writeFileSync(join(one, "writable.img"), "");
    folders.remove(sandbox("p1"), task("c1"));
    expect([existsSync(one), existsSync(other)]).to.deep.equal([false, true]);
    folders.removeAll(sandbox("p1"));
    expect(readdirSync(join(state, ".storage"))).to.deep.equal([]);
  });

  it("keeps nothing of pods that are not in the state folder any more", () => {
    const base = join(state, "elsewhere");
    const folders = createStorageFolders(base, state);
    const [lost, known] = ["p1", "p2"].map((id) => folders.make(sandbox(id), task("c1"))) as [string, string];
    mkdirSync(join(state, "k8s.io", "p2"), { recursive: true });
    folders.tidy();
    expect([existsSync(lost), existsSync(known)]).to.deep.equal([false, true]);
  });
});
