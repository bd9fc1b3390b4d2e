import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cgroupHierarchies } from "@kuasar/install/cgroup-tree";
import { waitUntil } from "@kuasar/install/wait-until";
import { OciTypeUrl } from "@kuasar/proto/any";
import { packJson } from "@kuasar/proto/any-json";
import type { ConformanceCase } from "../conformance-case.ts";
import type { Trial } from "../trial.ts";

const SIGKILL = 9;
const MIB = 1024 * 1024;

function pause(trial: Trial) {
  return trial.call("pause", trial.tasks.pause({ containerId: trial.id }));
}

function resume(trial: Trial) {
  return trial.call("resume", trial.tasks.resume({ containerId: trial.id }));
}

function resize(trial: Trial, step: string, execId = "") {
  return trial.call(step, trial.tasks.resizePty({ containerId: trial.id, execId, width: 80, height: 24 }));
}

function closeStdin(trial: Trial, step: string, execId = "") {
  return trial.call(step, trial.tasks.closeIO({ containerId: trial.id, execId, stdin: true }));
}

/** Calls in an order that nobody would choose, or twice, or too late. */
export const orderCases: readonly ConformanceCase[] = [
  {
    name: "orders: everything after the exit, and after the deletion",
    async run(trial) {
      await trial.runToEnd({ args: ["sh", "-c", "exit 3"], stdio: { stdin: true } });
      const afterwards = async (when: string) => {
        await pause(trial);
        await resume(trial);
        await resize(trial, `resize ${when}`);
        await closeStdin(trial, `close stdin ${when}`);
        await trial.kill(SIGKILL, { step: `kill ${when}` });
        await trial.kill(SIGKILL, { all: true, step: `kill all ${when}` });
        await trial.addExec("late", { args: ["true"] }, `exec ${when}`);
        await trial.wait("", `wait ${when}`);
      };
      await afterwards("after the exit");
      await trial.delete();
      await afterwards("after the deletion");
      await trial.state();
      await trial.delete("", "delete again");
    },
  },
  {
    name: "orders: an exec after its exit",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sh", "-c", "exit 5"]);
      await trial.wait("e1");
      await resize(trial, "resize", "e1");
      await closeStdin(trial, "close stdin", "e1");
      await trial.kill(SIGKILL, { execId: "e1" });
      await trial.start("e1", "start again");
      await trial.delete("e1");
      await trial.wait("e1", "wait after the deletion");
      await trial.exec("e1", ["sh", "-c", "exit 6"]);
      await trial.wait("e1", "wait for another of that name");
      await trial.delete("e1", "delete another of that name");
    },
  },
  {
    name: "orders: two Deletes of an exec at once",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sh", "-c", "exit 5"]);
      await trial.wait("e1");
      const once = () => trial.tasks.deleteProcess({ containerId: trial.id, execId: "e1" });
      const answers = await Promise.allSettled([once(), once()]);
      const statuses = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value.exitStatus] : []));
      trial.note("at least one says how it ended", statuses.includes(5));
      await trial.state("e1");
    },
  },
  {
    name: "orders: an execs' process goes on while paused, and ends when resumed",
    async run(trial) {
      await trial.run();
      const stdio = await trial.exec("e1", ["sh", "-c", "read x; echo got $x; exit 4"], { stdio: { stdin: true } });
      await pause(trial);
      await trial.state("e1");
      stdio.stdin?.write("a line\n");
      await sleep(200);
      trial.note("says something while paused", stdio.stdout.bytes > 0);
      const ended = trial.waitInBackground("e1");
      await resume(trial);
      await ended("wait [e1]");
      await stdio.stdout.end(5000);
      trial.note("output", stdio.stdout.text);
    },
  },
  {
    name: "orders: killing an exec while paused, then resuming",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sleep", "1000"]);
      await pause(trial);
      const ended = trial.waitInBackground("e1");
      await trial.kill(SIGKILL, { execId: "e1" });
      await resume(trial);
      await ended("wait [e1]");
      await trial.delete("e1");
      await trial.state();
    },
    eventsInAnyOrder: true,
  },
  {
    name: "orders: input closed before there is a reader, and read afterwards",
    async run(trial) {
      await trial.run();
      const script = "sleep 0.3; wc -c";
      const stdio = await trial.exec("e1", ["sh", "-c", script], { stdio: { stdin: true } });
      stdio.stdin?.write("x".repeat(1000));
      stdio.stdin?.end();
      await sleep(50);
      await closeStdin(trial, "close stdin", "e1");
      await trial.wait("e1");
      await stdio.stdout.end(5000);
      trial.note("output", stdio.stdout.text.trim());
    },
  },
  {
    name: "orders: Shutdown while a task is there is refused or ignored",
    async run(trial) {
      await trial.run();
      await trial.exec("e1", ["sleep", "1000"]);
      await trial.delete("", "delete while it runs");
      await trial.state();
      await trial.state("e1");
    },
  },
  {
    name: "orders: deleted with execs that were never started, and one that has ended",
    async run(trial) {
      await trial.run();
      await trial.addExec("never", { args: ["true"] });
      await trial.exec("over", ["true"]);
      await trial.wait("over");
      await trial.kill(SIGKILL);
      await trial.wait();
      await trial.delete();
      await trial.state("over");
      await trial.state("never");
    },
  },
  {
    name: "orders: the same id again, at once",
    async run(trial) {
      for (let round = 0; round < 5; round++) {
        if (round > 0) await trial.stage.api.containers.delete({ id: trial.id });
        await trial.runToEnd({ args: ["sh", "-c", `exit ${round}`] });
        await trial.delete();
      }
    },
  },
  {
    name: "update: every kind of resource",
    async run(trial) {
      await trial.run({ memoryLimit: 64 * MIB });
      const { ctrNamespace } = trial.stage.lab.containerd;
      const kinds: Readonly<Record<string, unknown>> = {
        "cpu shares": { cpu: { shares: 256 } },
        "cpu quota": { cpu: { quota: 50_000, period: 100_000 } },
        "cpu set": { cpu: { cpus: "0", mems: "0" } },
        pids: { pids: { limit: 33 } },
        "memory reservation": { memory: { reservation: 32 * MIB } },
        "memory limit": { memory: { limit: 48 * MIB, swap: 96 * MIB } },
        "memory without limit": { memory: { limit: -1, swap: -1 } },
        "block io weight": { blockIO: { weight: 200 } },
        devices: { devices: [{ allow: false, access: "rwm" }] },
        hugepages: { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] },
        unified: { unified: { "memory.high": "1000000" } },
        "a value out of range": { cpu: { quota: 1, period: 1 } },
        "an unknown key": { nosuch: { limit: 1 } },
      };
      for (const [kind, resources] of Object.entries(kinds)) {
        const any = packJson(OciTypeUrl.linuxResources, resources);
        await trial.call(`update ${kind}`, trial.tasks.update({ containerId: trial.id, resources: any }));
        trial.note(`cgroup files after ${kind}`, cgroupFiles(ctrNamespace, trial.id));
      }
      await trial.state();
    },
  },
  {
    name: "events: of a life with everything in it",
    async run(trial) {
      await trial.run();
      await pause(trial);
      await resume(trial);
      for (const execId of ["e1", "e2"]) {
        await trial.exec(execId, ["sh", "-c", "exit 1"]);
        await trial.wait(execId);
        await trial.delete(execId);
      }
      await trial.addExec("e3", { args: ["/no/such/program"] });
      await trial.start("e3");
      await trial.exec("e4", ["sleep", "1000"]);
      const ended = [trial.waitInBackground("e4"), trial.waitInBackground()];
      await trial.kill(SIGKILL);
      await ended[0]?.("wait [e4]");
      await ended[1]?.("wait");
      await trial.delete();
    },
  },
  {
    name: "events: of a container that ends while it is being started, many times",
    timeoutMs: 60_000,
    async run(trial) {
      for (let round = 0; round < 10; round++) {
        if (round > 0) await trial.stage.api.containers.delete({ id: trial.id });
        await trial.create({ args: ["true"] });
        await trial.start();
        await trial.wait();
        await trial.delete();
      }
      const topics = () => trial.stage.events.of(trial.id).map(({ topic }) => topic);
      const all = () => topics().filter((topic) => topic === "/tasks/delete").length === 10;
      await waitUntil(all, { what: "ten deletions", timeoutMs: 10_000 }).catch(() => undefined);
      trial.note("topics", topics());
    },
  },
];

const files = [
  "cpu.shares",
  "cpu.cfs_quota_us",
  "cpu.cfs_period_us",
  "cpuset.cpus",
  "cpuset.mems",
  "pids.max",
  "memory.soft_limit_in_bytes",
  "memory.limit_in_bytes",
  "memory.memsw.limit_in_bytes",
  "blkio.weight",
  "devices.list",
  "hugetlb.2MB.limit_in_bytes",
];

/** What the kernel says of the container's cgroup by now, as far as its hierarchies have these files. */
function cgroupFiles(namespace: string, id: string): string[] {
  return cgroupHierarchies().flatMap((root) =>
    files.flatMap((name) => {
      const path = join(root, namespace, id, name);
      return existsSync(path) ? [`${name} ${readFileSync(path, "utf8").trim()}`] : [];
    }),
  );
}
