import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { packAny } from "@kuasar/proto/any";
import { containerd } from "@kuasar/proto/containerd";
import type { containerd as services } from "@kuasar/proto/services";
import type { ConformanceCase } from "../conformance-case.ts";
import type { Trial } from "../trial.ts";

// Each goes as far as the machine's criu does: where that one fails, both shims must say so.

const { CheckpointOptions } = containerd.runc.v1;

/** Counts, a line each time it is given one. */
const counter = ["sh", "-c", "i=0; while read x; do i=$((i+1)); echo count $i; done; exit 3"];

type Checkpoint = services.services.tasks.v1.CheckpointTaskResponse;

async function checkpoint(
  trial: Trial,
  options: Partial<containerd.runc.v1.CheckpointOptions>,
  step = "checkpoint",
): Promise<services.types.Descriptor | undefined> {
  const request = { containerId: trial.id, options: packAny(CheckpointOptions, options) };
  const answer = await trial.call<Checkpoint>(step, trial.tasks.checkpoint(request), ({ descriptors }) =>
    descriptors.map(({ mediaType }) => mediaType).join(", "),
  );
  return answer?.descriptors[0];
}

async function countOnce(trial: Trial, terminal: boolean) {
  const stdio = await trial.create({ args: counter, stdio: { stdin: true, terminal }, terminal });
  await trial.start();
  stdio?.stdin?.write("x\n");
  await stdio?.stdout.saw("count 1");
}

/** The task goes on where it was; its stdio is new. */
async function restore(trial: Trial, image: services.types.Descriptor, terminal: boolean): Promise<void> {
  const stdio = await trial.createTask({ stdio: { stdin: true, terminal }, checkpoint: image }, "create again");
  await trial.state("", "state before the restore");
  await trial.start("", "restore");
  await trial.state("", "state after the restore");
  stdio?.stdin?.write("x\n");
  await stdio?.stdout.saw("count 2");
  const exec = await trial.exec("e1", ["echo", "beside it"]);
  await exec.stdout.end(5000);
  trial.note("an exec's output", exec.stdout.text);
  await trial.wait("e1");
  const ended = trial.waitInBackground();
  await trial.kill(9);
  await ended("wait for the restored");
  await trial.delete("", "delete the restored");
}

export const checkpointCases: readonly ConformanceCase[] = [
  {
    name: "checkpoint: of a running task, which goes on",
    async run(trial) {
      await trial.run();
      await checkpoint(trial, {});
      await trial.state();
    },
  },
  {
    name: "checkpoint: a created task, a stopped one",
    async run(trial) {
      await trial.create();
      await checkpoint(trial, {}, "checkpoint while created");
      await trial.kill(9);
      await trial.wait();
      await checkpoint(trial, {}, "checkpoint after the exit");
      await checkpoint(trial, { exit: true }, "checkpoint and exit");
    },
  },
  {
    name: "checkpoint: of a paused task",
    async run(trial) {
      await trial.run();
      await trial.call("pause", trial.tasks.pause({ containerId: trial.id }));
      await checkpoint(trial, {});
      await trial.state();
    },
  },
  ...[false, true].map(
    (terminal): ConformanceCase => ({
      name: `checkpoint: the task ends, and goes on from there${terminal ? ", on a terminal" : ""}`,
      async run(trial) {
        await countOnce(trial, terminal);
        const image = await checkpoint(trial, { exit: true, terminal });
        if (!image) return;
        await trial.wait();
        await trial.delete();
        await restore(trial, image, terminal);
      },
    }),
  ),
  {
    name: "checkpoint: from an image that is none",
    async run(trial) {
      await trial.container();
      const image = { mediaType: "text/plain", digest: `sha256:${"0".repeat(64)}`, size: 1 };
      await trial.createTask({ checkpoint: image });
      await trial.state();
    },
  },
  {
    name: "checkpoint: options with a folder for criu's work",
    async run(trial) {
      await trial.run();
      const workPath = join(trial.scratch, "work");
      mkdirSync(workPath, { recursive: true });
      if (!(await checkpoint(trial, { workPath }))) return;
      trial.note("criu's log is there", existsSync(workPath) && readdirSync(workPath).includes("dump.log"));
    },
  },
];
