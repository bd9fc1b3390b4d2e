import { readFileSync } from "node:fs";
import { OciTypeUrl, unpackAny } from "@kuasar/proto/any";
import { packJson } from "@kuasar/proto/any-json";
import { containerd } from "@kuasar/proto/containerd";
import { io } from "@kuasar/proto/metrics";
import type { ConformanceCase } from "../conformance-case.ts";
import type { Trial } from "../trial.ts";

const MIB = 1024 * 1024;

function pause(trial: Trial, step = "pause") {
  return trial.call(step, trial.tasks.pause({ containerId: trial.id }));
}

function resume(trial: Trial, step = "resume") {
  return trial.call(step, trial.tasks.resume({ containerId: trial.id }));
}

function update(trial: Trial, resources: unknown, step = "update") {
  const any = packJson(OciTypeUrl.linuxResources, resources);
  return trial.call(step, trial.tasks.update({ containerId: trial.id, resources: any }));
}

function stats(trial: Trial, step = "stats") {
  const answer = trial.tasks.metrics({ filters: [`id==${trial.id}`] });
  return trial.call(step, answer, ({ metrics }) => {
    const [metric] = metrics;
    if (!metric?.data) return `${metrics.length} metrics`;
    const { v1, v2 } = io.containerd.cgroups;
    const isV2 = metric.data.typeUrl === v2.Metrics.typeName;
    const found = isV2 ? unpackAny(metric.data, v2.Metrics) : unpackAny(metric.data, v1.Metrics);
    return `${metric.data.typeUrl}: ${fieldsIn(found).join(" ")}`;
  });
}

/** The names of all fields that are there, at any depth but within lists. */
function fieldsIn(message: object, prefix = ""): string[] {
  return Object.entries(message).flatMap(([name, value]) => {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value.length > 0 ? [`${prefix}${name}[]`] : [];
    // Counters are 0 or not by chance.
    return typeof value === "object" ? [`${prefix}${name}`, ...fieldsIn(value, `${prefix}${name}.`)] : [];
  });
}

async function memoryLimit(trial: Trial): Promise<string> {
  const { metrics } = await trial.tasks.metrics({ filters: [`id==${trial.id}`] });
  const data = metrics[0]?.data;
  if (!data) return "no metrics";
  const { v1, v2 } = io.containerd.cgroups;
  if (data.typeUrl === v2.Metrics.typeName) return String(unpackAny(data, v2.Metrics).memory?.usageLimit);
  return String(unpackAny(data, v1.Metrics).memory?.usage?.limit);
}

async function pids(trial: Trial, step = "pids") {
  const { ProcessDetails } = containerd.runc.v1;
  await trial.call(step, trial.tasks.listPids({ containerId: trial.id }), ({ processes }) =>
    processes
      .map(
        ({ pid, info }) => `${trial.names.pid(pid)}${info ? ` (exec ${unpackAny(info, ProcessDetails).execId})` : ""}`,
      )
      .sort()
      .join(", "),
  );
}

export const controlCases: readonly ConformanceCase[] = [
  {
    name: "pids: of a running task, of a created one, after the exit",
    async run(trial) {
      const stdio = await trial.create({ stdio: true });
      await pids(trial, "pids while created");
      await trial.start();
      await stdio?.stdout.saw("ready");
      const exec = await trial.exec("e1", ["sh", "-c", "sleep 1000 & echo up; wait"]);
      await exec.stdout.saw("up");
      await pids(trial);
      await trial.kill(9);
      await trial.wait();
      await pids(trial, "pids after the exit");
    },
  },
  {
    name: "pause: and resume, each twice",
    async run(trial) {
      await trial.run();
      await pause(trial);
      await trial.state();
      await pause(trial, "pause again");
      await resume(trial);
      await trial.state();
      await resume(trial, "resume again");
    },
  },
  {
    name: "pause: a created task",
    async run(trial) {
      await trial.create();
      await pause(trial);
      await resume(trial);
      await trial.state();
    },
  },
  {
    name: "pause: a stopped task",
    async run(trial) {
      await trial.runToEnd({ args: ["true"] });
      await pause(trial);
      await resume(trial);
      await trial.state();
    },
  },
  {
    name: "update: the memory limit",
    async run(trial) {
      await trial.run({ memoryLimit: 64 * MIB });
      trial.note("limit before", await memoryLimit(trial));
      await update(trial, { memory: { limit: 48 * MIB, swap: 48 * MIB } });
      trial.note("limit after", await memoryLimit(trial));
      await update(trial, { pids: { limit: 7 }, cpu: { shares: 512 } }, "update pids and cpu");
      await update(trial, {}, "update nothing");
    },
  },
  {
    name: "update: in other states",
    async run(trial) {
      await trial.create({ memoryLimit: 64 * MIB, stdio: true });
      await update(trial, { memory: { limit: 48 * MIB, swap: 48 * MIB } }, "update while created");
      await trial.start();
      await pause(trial);
      await update(trial, { memory: { limit: 40 * MIB, swap: 40 * MIB } }, "update while paused");
      await resume(trial);
      await trial.kill(9);
      await trial.wait();
      await update(trial, { memory: { limit: 48 * MIB } }, "update after the exit");
    },
  },
  {
    name: "update: resources that cannot be had",
    async run(trial) {
      await trial.run({ memoryLimit: 64 * MIB });
      await update(trial, { memory: { limit: 1 } }, "a limit that is too low");
      trial.note("limit", await memoryLimit(trial));
    },
  },
  ...Object.entries({
    nothing: null,
    "no JSON": { typeUrl: OciTypeUrl.linuxResources, value: Buffer.from("{") },
    "an unknown type": { typeUrl: "no.such.Resources", value: Buffer.from("{}") },
    "a limit that is text": packJson(OciTypeUrl.linuxResources, { memory: { limit: "much" } }),
  }).map(
    ([what, resources]): ConformanceCase => ({
      name: `update: with ${what}`,
      async run(trial) {
        await trial.run();
        await trial.call("update", trial.tasks.update({ containerId: trial.id, resources }));
        await trial.state();
      },
    }),
  ),
  {
    name: "stats: while it runs, created, and after the exit",
    async run(trial) {
      await trial.create({ memoryLimit: 64 * MIB });
      await stats(trial, "stats while created");
      await trial.start();
      await stats(trial);
      await trial.kill(9);
      await trial.wait();
      await stats(trial, "stats after the exit");
    },
  },
  {
    name: "stats: of what does not change by itself",
    async run(trial) {
      await trial.run({ memoryLimit: 64 * MIB });
      await update(trial, { pids: { limit: 33 }, memory: { limit: 48 * MIB, swap: 96 * MIB } });
      const { metrics } = await trial.tasks.metrics({ filters: [`id==${trial.id}`] });
      const { v1, v2 } = io.containerd.cgroups;
      const data = metrics[0]?.data;
      if (data?.typeUrl === v2.Metrics.typeName) {
        const { pids: count, memory } = unpackAny(data, v2.Metrics);
        trial.note("limits", [count?.limit, memory?.usageLimit, memory?.swapLimit]);
      } else if (data) {
        const { pids: count, memory, cpu, hugetlb, blkio } = unpackAny(data, v1.Metrics);
        trial.note("limits", [count?.limit, memory?.usage?.limit, memory?.swap?.limit, memory?.kernel?.limit]);
        trial.note("hierarchical", [memory?.hierarchicalMemoryLimit, memory?.hierarchicalSwapLimit]);
        trial.note("cpus", cpu?.usage?.perCpu.length);
        trial.note("pages", hugetlb.map(({ pagesize }) => pagesize).sort());
        trial.note("block io", Object.keys(blkio ?? {}).sort());
      }
    },
  },
  {
    name: "oom: a process that takes more memory than it may",
    async run(trial) {
      await trial.run({
        memoryLimit: 16 * MIB,
        args: ["sh", "-c", "echo ready; read x; exit 1"],
        stdio: { stdin: true },
      });
      const grow = "head -c 100000000 /dev/zero | tail >/dev/null";
      await trial.exec("e1", ["sh", "-c", grow]);
      await trial.stage.events.saw(trial.id, "/tasks/exit", 10_000);
      trial.note("an event says so", await trial.stage.events.saw(trial.id, "/tasks/oom", 2000));
      await trial.kill(9);
      await trial.wait();
    },
    eventsInAnyOrder: true,
  },
  {
    name: "oom: of the init process",
    async run(trial) {
      await trial.create({ memoryLimit: 16 * MIB, args: ["tail", "/dev/zero"] });
      const ended = trial.waitInBackground();
      await trial.start();
      await ended("wait");
      trial.note("an event says so", await trial.stage.events.saw(trial.id, "/tasks/oom", 2000));
    },
    eventsInAnyOrder: true,
  },
  {
    name: "process: what a container's init has from outside",
    async run(trial) {
      await trial.run();
      const { process } = await trial.tasks.get({ containerId: trial.id });
      const status = readFileSync(`/proc/${process?.pid}/status`, "utf8");
      const fields = /^(SigBlk|SigIgn|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp|Umask|Groups):.*$/gm;
      trial.note("status", status.match(fields)?.join(" ").replaceAll(/\s+/g, " "));
      trial.note("oom_score_adj", readFileSync(`/proc/${process?.pid}/oom_score_adj`, "utf8").trim());
      trial.note("limits", readFileSync(`/proc/${process?.pid}/limits`, "utf8").replaceAll(/ +/g, " "));
      const exec = await trial.exec("e1", ["sh", "-c", "ls -l /proc/self/fd | grep -c ' -> '; umask; ulimit -n"]);
      await exec.stdout.end(5000);
      trial.note("exec", exec.stdout.text);
    },
  },
];
