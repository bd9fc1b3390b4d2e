import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@kuasar/framework/log/logger";
import { createDomain } from "@kuasar/framework/server/domain";
import { StoreUnreadable } from "@kuasar/framework/store/read-record";
import { createStateStore } from "@kuasar/framework/store/state-store";
import { createFakeSandboxer } from "@kuasar/framework/testing/fake-sandboxer";
import { createNodeFixture, NAMESPACE } from "@kuasar/framework/testing/node-fixture";
import fc from "fast-check";
import { type Change, changed, changes } from "../documents.ts";
import { fuzzTarget, withinDeadline } from "../fuzz-target.ts";
import { type Damage, damaged, damages } from "../hostile.ts";

interface Input {
  readonly file: "sandbox" | "task";
  readonly change: readonly Change[];
  readonly damage?: readonly Damage[];
  /** The last line is not whole, as a crash leaves it. */
  readonly cut?: boolean;
}

/** A store that a sandboxer is started on: it is read, or the error says why not and nothing has been touched. */
export const store = fuzzTarget<Input>({
  name: "store",
  native: false,
  inputs: fc.record(
    { file: fc.constantFrom("sandbox" as const, "task" as const), change: changes, damage: damages, cut: fc.boolean() },
    { requiredKeys: ["file", "change"] },
  ),
  async open() {
    const node = await createNodeFixture();
    await node.domain.sandboxes.create(node.sandboxRequest("pod"));
    await node.domain.sandboxes.start(NAMESPACE, "pod", 0);
    const sandbox = node.domain.registry.get(NAMESPACE, "pod");
    await node.domain.tasks.create(sandbox, node.taskRequest("t1", "exec sleep 1000"), 0);
    node.domain.execs.add(sandbox, {
      taskId: "t1",
      execId: "e1",
      io: { stdin: "", stdout: "", stderr: "", terminal: false },
      spec: "{}",
    });
    const lastLine = (path: string) => JSON.parse(readFileSync(path, "utf8").trimEnd().split("\n").pop() ?? "");
    const scratch = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
    return {
      async feed({ file, change, damage, cut }: Input) {
        const dir = join(scratch, "state");
        rmSync(dir, { recursive: true, force: true });
        cpSync(node.dir, dir, { recursive: true });
        const path = join(dir, NAMESPACE, "pod", file === "sandbox" ? "sandbox.json" : "tasks/t1.json");
        const line = Buffer.from(JSON.stringify(changed(lastLine(path), change)));
        const bytes = damage ? damaged(line, damage) : line;
        writeFileSync(path, cut ? bytes : Buffer.concat([Buffer.from("\n"), bytes, Buffer.from("\n")]));
        const before = treeOf(dir);
        // Nobody is asked: with monitors that are gone, what is read must be enough to say so.
        const monitors = {
          connect: () => node.domain.registry.get(NAMESPACE, "pod").monitor,
          launch: () => Promise.reject(new Error("no monitor is launched here")),
        };
        const stateStore = createStateStore(dir);
        const parts = { sandboxer: readOnlySandboxer(), store: stateStore, monitors, log: silentLogger };
        try {
          await withinDeadline("recovery", createDomain(parts).recover());
        } catch (error) {
          const foreign = /is of kind .*, expected fake/.test((error as Error).message);
          if (!(error instanceof StoreUnreadable) && !foreign) throw error;
          if (treeOf(dir) !== before) throw new Error(`touched, though refused: ${(error as Error).message}`);
        }
      },
      async close() {
        await node.close();
        rmSync(scratch, { recursive: true });
      },
    };
  },
});

/** One that ends and removes nothing: the pod is needed for the next input. */
function readOnlySandboxer() {
  const sandboxer = createFakeSandboxer();
  const nothing = async () => {};
  return {
    ...sandboxer,
    stop: nothing,
    tasks: { ...sandboxer.tasks, discard: nothing, delete: nothing, initExited: nothing },
  };
}

function treeOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const texts = files.map(({ parentPath, name }) =>
    [parentPath, name, readFileSync(join(parentPath, name), "hex")].join(" "),
  );
  return texts.sort().join("\n");
}
