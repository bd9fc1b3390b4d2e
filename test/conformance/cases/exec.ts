import { OciTypeUrl } from "@kuasar/proto/any";
import { packJson } from "@kuasar/proto/any-json";
import type { ConformanceCase } from "../conformance-case.ts";
import type { Trial } from "../trial.ts";

const SIGKILL = 9;

/** An exec that is refused at its start, and what is left of it. */
function refused(name: string, args: readonly string[], options: { cwd?: string; uid?: number } = {}): ConformanceCase {
  return {
    name: `exec: ${name}`,
    async run(trial) {
      await trial.run();
      await trial.exec("e1", args, options);
      await trial.state("e1");
      await trial.wait("e1");
      await trial.delete("e1");
      await trial.exec("e1", ["sh", "-c", "exit 3"]);
      await trial.wait("e1");
    },
  };
}

async function execAndWait(trial: Trial, execId: string, command: string): Promise<void> {
  await trial.addExec(execId, { args: ["sh", "-c", command], stdio: true });
  const ended = trial.waitInBackground(execId);
  await trial.start(execId);
  await ended(`wait [${execId}]`);
}

export const execCases: readonly ConformanceCase[] = [
  {
    name: "exec: from its addition to its deletion",
    async run(trial) {
      await trial.run();
      const stdio = await trial.addExec("e1", { args: ["sh", "-c", "echo out; echo err >&2; exit 7"], stdio: true });
      await trial.state("e1");
      await trial.start("e1");
      await trial.wait("e1");
      await Promise.all([stdio?.stdout.end(5000), stdio?.stderr?.end(5000)]);
      trial.note("streams", [stdio?.stdout.text, stdio?.stderr?.text]);
      await trial.state("e1");
      await trial.delete("e1");
      await trial.state("e1");
      await trial.wait("e1");
      await trial.delete("e1", "delete again");
    },
  },
  {
    name: "exec: exit codes",
    async run(trial) {
      await trial.run();
      for (const code of [0, 1, 42, 137, 143, 255]) await execAndWait(trial, `exit-${code}`, `exit ${code}`);
      await execAndWait(trial, "killed", "kill -KILL $$");
      await execAndWait(trial, "segv", "kill -SEGV $$");
    },
  },
  {
    name: "exec: an id that is taken",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sleep", "1000"]);
      await trial.addExec("e1", { args: ["true"] }, "exec again");
      await trial.kill(SIGKILL, { execId: "e1" });
      await trial.wait("e1");
      await trial.addExec("e1", { args: ["true"] }, "exec again, after its exit");
      await trial.delete("e1");
      await trial.addExec("e1", { args: ["true"] }, "exec again, after its delete");
    },
  },
  {
    name: "exec: an id that is no identifier",
    async run(trial) {
      await trial.run();
      for (const execId of ["../x", "a/b", "", "x".repeat(77)]) {
        await trial.addExec(execId, { args: ["true"] }, `exec ${JSON.stringify(execId)}`);
      }
    },
  },
  {
    name: "exec: the container's own id",
    async run(trial) {
      await trial.run();
      await execAndWait(trial, trial.id, "exit 4");
    },
  },
  {
    name: "exec: in a created container",
    async run(trial) {
      await trial.create();
      await trial.exec("e1", ["sh", "-c", "exit 3"]);
      await trial.wait("e1");
      await trial.state();
    },
  },
  {
    name: "exec: in a paused container",
    async run(trial) {
      await trial.run();
      await trial.exec("running", ["sleep", "1000"]);
      await trial.addExec("before", { args: ["true"] });
      await trial.exec("over", ["true"]);
      await trial.wait("over");
      await trial.call("pause", trial.tasks.pause({ containerId: trial.id }));
      await trial.addExec("e1", { args: ["true"] });
      await trial.state("before");
      await trial.state("running");
      await trial.state("over");
    },
  },
  {
    name: "exec: in a stopped container",
    async run(trial) {
      await trial.create();
      await trial.addExec("before", { args: ["true"] });
      await trial.start();
      const ended = trial.waitInBackground();
      await trial.kill(SIGKILL);
      await ended("wait");
      await trial.addExec("e1", { args: ["true"] });
      await trial.start("before");
      await trial.state("before");
      await trial.delete("before");
    },
  },
  refused("a program that is not there", ["/no/such/program"]),
  refused("a program that is not in the path", ["nosuchprogram"]),
  refused("a program that may not be executed", ["/etc/passwd"]),
  refused("no arguments", []),
  refused("a working directory that is not there", ["true"], { cwd: "/no/such/folder" }),
  {
    name: "exec: started again after a start that failed",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["/tmp/late"]);
      await trial.exec("e2", ["sh", "-c", "printf '#!/bin/sh\\nexit 4\\n' > /tmp/late; chmod 755 /tmp/late"]);
      await trial.wait("e2");
      await trial.start("e1", "start again");
      await trial.wait("e1");
      await trial.state("e1");
    },
  },
  {
    name: "exec: waited for before a start that fails",
    async run(trial) {
      await trial.run();
      await trial.addExec("e1", { args: ["/no/such/program"] });
      const ended = trial.waitInBackground("e1");
      await trial.start("e1");
      await ended("wait [e1]");
    },
  },
  ...Object.entries({ "not there": null, "no JSON": "{", "an empty object": "{}", "an array": "[]" }).map(
    ([what, text]): ConformanceCase => ({
      name: `exec: a process that is ${what}`,
      async run(trial) {
        await trial.run();
        const spec = text === null ? null : { typeUrl: OciTypeUrl.process, value: Buffer.from(text) };
        await trial.call("exec", trial.tasks.exec({ containerId: trial.id, execId: "e1", spec }));
        await trial.start("e1");
        await trial.state();
      },
    }),
  ),
  {
    name: "exec: deleted while it runs",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sleep", "1000"]);
      await trial.delete("e1");
      await trial.state("e1");
    },
  },
  {
    name: "exec: deleted before its start",
    async run(trial) {
      await trial.run();
      await trial.addExec("e1", { args: ["true"] });
      await trial.delete("e1");
      await trial.start("e1");
    },
  },
  {
    name: "exec: started twice, and after its exit",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sleep", "1000"]);
      await trial.start("e1", "start again");
      await trial.kill(SIGKILL, { execId: "e1" });
      await trial.wait("e1");
      await trial.start("e1", "start after its exit");
    },
  },
  {
    name: "exec: left running when init ends",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sleep", "1000"]);
      const ended = [trial.waitInBackground("e1"), trial.waitInBackground()];
      await trial.kill(SIGKILL);
      await ended[0]?.("wait [e1]");
      await ended[1]?.("wait");
      await trial.delete();
      await trial.state("e1");
    },
  },
  {
    name: "exec: left running, its container deleted without it",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sh", "-c", "exit 3"]);
      await trial.wait("e1");
      const ended = trial.waitInBackground();
      await trial.kill(SIGKILL);
      await ended("wait");
      await trial.delete();
    },
  },
  {
    name: "exec: twenty at once",
    async run(trial) {
      await trial.run();
      const ids = Array.from({ length: 20 }, (_, index) => `e${index}`);
      const outcome = async (execId: string, index: number) => {
        const quiet = { containerId: trial.id, execId };
        await trial.tasks.exec({ ...quiet, spec: processSpec(["sh", "-c", `exit ${index}`]) });
        const { pid } = await trial.tasks.start(quiet);
        trial.names.learnPid(pid, execId);
        const { exitStatus } = await trial.tasks.wait(quiet);
        const deleted = await trial.tasks.deleteProcess(quiet);
        return [exitStatus, deleted.exitStatus];
      };
      trial.note("exit codes", await Promise.all(ids.map(outcome)));
    },
    eventsInAnyOrder: true,
  },
];

function processSpec(args: readonly string[]) {
  const process = { args, cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } };
  return packJson(OciTypeUrl.process, process);
}
