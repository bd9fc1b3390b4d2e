import type { ConformanceCase } from "../conformance-case.ts";

export const startCases: readonly ConformanceCase[] = [
  {
    name: "start: twice",
    async run(trial) {
      await trial.run();
      await trial.start("", "start again");
      await trial.state();
    },
  },
  {
    name: "start: after the exit",
    async run(trial) {
      await trial.runToEnd({ args: ["true"] });
      await trial.start("", "start again");
      await trial.state();
    },
  },
  {
    name: "start: of a paused task",
    async run(trial) {
      await trial.run();
      await trial.call("pause", trial.tasks.pause({ containerId: trial.id }));
      await trial.start("", "start again");
    },
  },
  {
    name: "start: twice at once",
    async run(trial) {
      await trial.create();
      const answers = [1, 2].map(() => trial.tasks.start({ containerId: trial.id }));
      const settled = await Promise.allSettled(answers);
      trial.note("started", settled.filter(({ status }) => status === "fulfilled").length);
      await trial.state();
    },
  },
  {
    name: "start: of something unknown",
    async run(trial) {
      await trial.start();
      await trial.create();
      await trial.start("no-such-exec");
    },
  },
  {
    name: "every call: of a task that is not there",
    async run(trial) {
      const { tasks, id: containerId } = trial;
      await trial.container();
      await trial.state();
      await trial.start();
      await trial.wait();
      await trial.kill(15);
      await trial.delete();
      await trial.addExec("e1", { args: ["true"] });
      await trial.call("pids", tasks.listPids({ containerId }));
      await trial.call("pause", tasks.pause({ containerId }));
      await trial.call("resume", tasks.resume({ containerId }));
      await trial.call("resize", tasks.resizePty({ containerId, width: 80, height: 24 }));
      await trial.call("close stdin", tasks.closeIO({ containerId, stdin: true }));
      await trial.call("checkpoint", tasks.checkpoint({ containerId }));
    },
  },
  {
    name: "every call: of an exec that is not there",
    async run(trial) {
      const { tasks, id: containerId } = trial;
      const execId = "none";
      await trial.run();
      await trial.state(execId);
      await trial.start(execId);
      await trial.wait(execId);
      await trial.kill(15, { execId });
      await trial.delete(execId);
      await trial.call("resize", tasks.resizePty({ containerId, execId, width: 80, height: 24 }));
      await trial.call("close stdin", tasks.closeIO({ containerId, execId, stdin: true }));
    },
  },
];
