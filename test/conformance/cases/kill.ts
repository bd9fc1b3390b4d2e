import type { ConformanceCase } from "../conformance-case.ts";

const SIGTERM = 15;
const SIGKILL = 9;

export const killCases: readonly ConformanceCase[] = [
  {
    name: "kill: a running task, with a signal that it handles",
    async run(trial) {
      await trial.run();
      const ended = trial.waitInBackground();
      await trial.kill(10);
      await ended("wait");
      await trial.delete();
    },
  },
  {
    name: "kill: an init process ignores what it does not handle",
    async run(trial) {
      await trial.create({ args: ["sleep", "1000"] });
      await trial.start();
      await trial.kill(SIGTERM);
      await trial.state();
    },
  },
  {
    name: "kill: a created task",
    async run(trial) {
      await trial.create();
      const ended = trial.waitInBackground();
      await trial.kill(SIGKILL);
      await ended("wait");
      await trial.state();
      await trial.start();
      await trial.delete();
    },
  },
  {
    name: "kill: after the exit",
    async run(trial) {
      await trial.runToEnd({ args: ["true"] });
      await trial.kill(SIGTERM);
      await trial.kill(SIGKILL);
      await trial.kill(0);
      await trial.kill(SIGKILL, { all: true });
      await trial.delete();
      await trial.kill(SIGKILL, { step: "kill after delete" });
    },
  },
  {
    name: "kill: signal 0 and signals that are none",
    async run(trial) {
      await trial.run();
      for (const signal of [0, 64, 65, 100, 4_000_000_000]) await trial.kill(signal);
      await trial.state();
    },
  },
  {
    name: "kill: all processes",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sleep", "1000"]);
      const ended = [trial.waitInBackground("e1"), trial.waitInBackground()];
      await trial.kill(SIGKILL, { all: true });
      await ended[0]?.("wait [e1]");
      await ended[1]?.("wait");
      await trial.state("e1");
      await trial.delete("e1");
      await trial.delete();
    },
    eventsInAnyOrder: true,
  },
  {
    name: "kill: all processes by SIGTERM reaches those of an exec",
    async run(trial) {
      await trial.run({ args: ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"] });
      await trial.exec("e1", ["sleep", "1000"]);
      const ended = trial.waitInBackground("e1");
      await trial.kill(SIGTERM, { all: true });
      await ended("wait [e1]");
      await trial.state();
    },
  },
  {
    name: "kill: SIGKILL while paused",
    async run(trial) {
      await trial.run();
      await trial.call("pause", trial.tasks.pause({ containerId: trial.id }));
      const ended = trial.waitInBackground();
      await trial.kill(SIGKILL);
      const quick = await trial.stage.events.saw(trial.id, "/tasks/exit", 2000);
      trial.note("exits at once", quick);
      await trial.state();
      await trial.call("resume", trial.tasks.resume({ containerId: trial.id }));
      await ended("wait");
      await trial.delete();
    },
  },
  {
    name: "kill: an exec",
    async run(trial) {
      await trial.run();
      await trial.addExec("e1", { args: ["sleep", "1000"] });
      await trial.kill(SIGTERM, { execId: "e1", step: "kill before its start" });
      await trial.start("e1");
      const ended = trial.waitInBackground("e1");
      await trial.kill(SIGTERM, { execId: "e1" });
      await ended("wait [e1]");
      await trial.kill(SIGTERM, { execId: "e1", step: "kill after its exit" });
      await trial.delete("e1");
      await trial.kill(SIGTERM, { execId: "e1", step: "kill after its delete" });
    },
  },
  {
    name: "kill: many times at once",
    async run(trial) {
      await trial.run();
      const ended = trial.waitInBackground();
      const kill = () => trial.tasks.kill({ containerId: trial.id, signal: SIGKILL });
      const answers = await Promise.allSettled(Array.from({ length: 5 }, kill));
      const other = answers.flatMap((answer) =>
        answer.status === "rejected" && !String(answer.reason).includes("process already finished")
          ? [String(answer.reason)]
          : [],
      );
      trial.note("other than done or already finished", other);
      await ended("wait");
    },
  },
  {
    name: "kill: children in the machine's pid namespace end with init",
    async run(trial) {
      await trial.run({
        hostPid: true,
        args: ["sh", "-c", "sleep 4321 & echo ready; trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done"],
      });
      await trial.exec("e1", ["sleep", "4321"]);
      const ended = [trial.waitInBackground("e1"), trial.waitInBackground()];
      await trial.kill(SIGKILL);
      await ended[0]?.("wait [e1]");
      await ended[1]?.("wait");
      await trial.call(
        "pids",
        trial.tasks.listPids({ containerId: trial.id }),
        ({ processes }) => `${processes.length}`,
      );
      await trial.delete();
    },
  },
];
