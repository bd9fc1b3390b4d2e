import type { ConformanceCase } from "../conformance-case.ts";

const SIGKILL = 9;

export const exitCases: readonly ConformanceCase[] = [
  ...[0, 1, 42, 137, 143, 255].map(
    (code): ConformanceCase => ({
      name: `exit: with ${code}`,
      async run(trial) {
        await trial.runToEnd({ args: ["sh", "-c", `exit ${code}`] });
        await trial.state();
        await trial.delete();
      },
    }),
  ),
  ...[SIGKILL, 15, 11].map(
    (signal): ConformanceCase => ({
      name: `exit: by signal ${signal} from outside its pid namespace`,
      async run(trial) {
        await trial.run({ hostPid: true, args: ["sleep", "1000"] });
        const ended = trial.waitInBackground();
        await trial.kill(signal);
        await ended("wait");
      },
    }),
  ),
  {
    name: "wait: before, after the exit, after the deletion",
    async run(trial) {
      await trial.create({ args: ["sh", "-c", "exit 3"] });
      const ended = trial.waitInBackground();
      await trial.start();
      await ended("wait before");
      await trial.wait("", "wait after");
      await trial.delete();
      await trial.wait("", "wait after delete");
    },
  },
  {
    name: "wait: is given up without harm",
    async run(trial) {
      await trial.run();
      const ended = trial.waitInBackground();
      await trial.state();
      await trial.kill(15);
      await ended("wait");
    },
  },
  {
    name: "delete: of a running task, a created one, and twice",
    async run(trial) {
      await trial.run();
      await trial.delete("", "delete while it runs");
      await trial.state();
      await trial.kill(SIGKILL);
      await trial.wait();
      await trial.delete();
      await trial.delete("", "delete again");
    },
  },
  {
    name: "delete: a task that was never started",
    async run(trial) {
      await trial.create();
      await trial.delete();
      await trial.state();
    },
  },
  {
    name: "delete: a paused task",
    async run(trial) {
      await trial.run();
      await trial.call("pause", trial.tasks.pause({ containerId: trial.id }));
      await trial.delete();
      await trial.state();
    },
  },
  {
    name: "delete: twice at once",
    async run(trial) {
      await trial.runToEnd({ args: ["sh", "-c", "exit 6"] });
      const answers = [1, 2].map(() => trial.tasks.delete({ containerId: trial.id }));
      const settled = await Promise.allSettled(answers);
      const deleted = settled.filter(({ status }) => status === "fulfilled");
      trial.note("at least one is answered", deleted.length >= 1);
    },
  },
  {
    name: "state: after the exit the task keeps its pid",
    async run(trial) {
      await trial.runToEnd({ args: ["true"] });
      await trial.state();
      const containerId = trial.id;
      await trial.call(
        "pids",
        trial.tasks.listPids({ containerId }),
        ({ processes }) => `${processes.length} processes`,
      );
    },
  },
  {
    name: "exit: a background child holds the output open",
    async run(trial) {
      const stdio = await trial.runToEnd({ args: ["sh", "-c", "sleep 1000 & echo out; exit 3"] });
      await trial.delete();
      trial.note("output ends", await stdio.stdout.end(5000));
      trial.note("output", stdio.stdout.text);
    },
  },
  {
    name: "exit: an exec's background child holds its output open",
    async run(trial) {
      await trial.run();
      const stdio = await trial.exec("e1", ["sh", "-c", "sleep 1000 & echo out; exit 3"]);
      await trial.wait("e1");
      await trial.delete("e1");
      trial.note("output ends", await stdio.stdout.end(1000));
      trial.note("output", stdio.stdout.text);
    },
  },
];
