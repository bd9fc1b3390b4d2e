import { mkdir, writeFile } from "node:fs/promises";
import { arch, cpus, release } from "node:os";
import { dirname, join } from "node:path";
import { cgroupMode } from "@kuasar/install/cgroup-tree";
import type { OverheadMemory } from "@kuasar/install/overhead-memory";
import { cacheDirectory } from "@kuasar/install/parts";
import { Command, Option } from "commander";
import { execa } from "execa";
import { type CallTimes, callTimes, emptyCall, measureCalls, noSamples } from "./calls.ts";
import { type Contest, type Contestant, openContest } from "./contestants.ts";
import { type Crowd, measureCrowd, measureMemory } from "./crowd.ts";
import { count, type Finding, findingsTable, holds, ratio } from "./report.ts";
import { median } from "./statistics.ts";
import { measureThroughput } from "./throughput.ts";

interface BenchOptions {
  readonly pods: number;
  readonly crowd: number;
  readonly rounds: number;
  readonly memoryPods?: number;
  readonly json: string;
  readonly itself: boolean;
  readonly runtime: "runc" | "crun";
}

interface Measured {
  readonly calls: CallTimes;
  readonly crowds: readonly Crowd[];
  readonly throughput: number;
  /** Of as many pods as were asked for. */
  readonly memory: OverheadMemory | undefined;
}

/** Measures both contestants by turns, so that what changes on the machine meanwhile touches both. */
async function measure(contest: Contest, options: BenchOptions): Promise<[Measured, Measured]> {
  const sides: Contestant[] = [contest.baseline, contest.candidate];
  const samples = sides.map(noSamples);
  const crowds: Crowd[][] = sides.map(() => []);
  const throughputs: number[][] = sides.map(() => []);
  // The first call of everything is slower: programs come from disk, folders are made.
  for (const side of sides) {
    await measureCalls(contest, side, noSamples());
    await measureThroughput(contest, side);
  }
  const emptyMs = await emptyCall(contest);
  for (let index = 0; index < options.pods; index++) {
    progress(`one after another: pod ${index + 1} of ${options.pods}`);
    for (const [which, side] of sides.entries()) await measureCalls(contest, side, samples[which] ?? noSamples());
  }
  for (let round = 0; round < options.rounds; round++) {
    progress(`${options.crowd} pods at once, throughput: round ${round + 1} of ${options.rounds}`);
    for (const [which, side] of sides.entries()) {
      crowds[which]?.push(await measureCrowd(contest, side, options.crowd));
    }
    for (let repeat = 0; repeat < 3; repeat++) {
      for (const [which, side] of sides.entries()) throughputs[which]?.push(await measureThroughput(contest, side));
    }
  }
  const memories: OverheadMemory[] = [];
  if (options.memoryPods !== undefined) {
    progress(`memory of ${options.memoryPods} pods`);
    for (const side of sides) memories.push(await measureMemory(contest, side, options.memoryPods));
  }
  const measured = sides.map((_, which) => ({
    calls: callTimes(samples[which] ?? noSamples(), emptyMs),
    crowds: crowds[which] ?? [],
    throughput: median(throughputs[which] ?? []),
    memory: memories[which],
  }));
  return [measured[0] as Measured, measured[1] as Measured];
}

function findings(baseline: Measured, candidate: Measured, { crowd, memoryPods, runtime }: BenchOptions): Finding[] {
  const line = (
    what: string,
    unit: string,
    value: (side: Measured) => number,
    target?: Finding["target"],
  ): Finding => ({
    what,
    unit,
    baseline: value(baseline),
    candidate: value(candidate),
    ...(target ? { target } : {}),
  });
  const atMost = (limit: number, kind: "ratio" | "value" = "ratio") => ({ kind, bound: "at most", limit }) as const;
  const ofCrowds = (value: (crowd: Crowd) => number) => (side: Measured) => median(side.crowds.map(value));
  return [
    line("pod start (runp)", "ms", ({ calls }) => calls.runPod, atMost(0.25)),
    line("container create", "ms", ({ calls }) => calls.create),
    line("container start", "ms", ({ calls }) => calls.start),
    line(
      "container create+start",
      "ms",
      ({ calls }) => calls.create + calls.start,
      atMost(runtime === "crun" ? 0.4 : 0.85),
    ),
    line("exec", "ms", ({ calls }) => calls.exec, atMost(0.9)),
    line("pod stop", "ms", ({ calls }) => calls.stopPod),
    line("pod remove", "ms", ({ calls }) => calls.removePod),
    line("pod stop+remove", "ms", ({ calls }) => calls.stopPod + calls.removePod, atMost(0.5)),
    line(
      `${crowd} pods with a container at once`,
      "ms",
      ofCrowds(({ startMs }) => startMs),
      atMost(0.5),
    ),
    line(
      `${crowd} pods stopped and removed at once`,
      "ms",
      ofCrowds(({ stopMs }) => stopMs),
    ),
    line(
      "memory a pod, all but the workload (PSS)",
      "MB",
      ofCrowds(({ memory }) => memory.total / crowd / 1024),
      atMost(2, "value"),
    ),
    line(
      "memory of a shim (PSS)",
      "MB",
      ofCrowds(({ memory }) => memory.shim / 1024),
      atMost(0.7, "value"),
    ),
    ...(memoryPods === undefined
      ? []
      : [
          line(
            `memory a pod, of ${memoryPods} pods (PSS)`,
            "MB",
            ({ memory }) => (memory?.total ?? 0) / memoryPods / 1024,
            atMost(1, "value"),
          ),
          line(
            `memory of a shim, of ${memoryPods} (PSS)`,
            "MB",
            ({ memory }) => (memory?.shim ?? 0) / 1024,
            atMost(0.7, "value"),
          ),
        ]),
    line("stdout of a container", "MiB/s", ({ throughput }) => throughput, {
      kind: "ratio",
      bound: "at least",
      limit: 1,
    }),
  ];
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else process.stderr.write(`${text}\n`);
}

async function bench(options: BenchOptions): Promise<void> {
  const contest = await openContest(options);
  let found: Finding[];
  try {
    const [baseline, candidate] = await measure(contest, options);
    found = findings(baseline, candidate, options);
  } finally {
    progress("");
    await contest.close();
  }
  const runc = (await execa(contest.containerd.parts.runc, ["--version"])).stdout.split("\n")[0];
  const machine = { kernel: release(), arch: arch(), cpus: cpus().length, cgroups: cgroupMode(), runc };
  const names: [string, string] = [contest.baseline.shim, contest.candidate.shim];
  process.stdout.write(`${findingsTable(found, names)}\n`);
  const lines = found.map((finding) => ({ ...finding, ratio: ratio(finding), holds: holds(finding) }));
  await mkdir(dirname(options.json), { recursive: true });
  const record = { when: new Date().toISOString(), machine, contestants: names, options, findings: lines };
  await writeFile(options.json, `${JSON.stringify(record, null, 2)}\n`);
  process.stdout.write(`written to ${options.json}\n`);
}

const program = new Command("bench")
  .description("compares containerd-shim-kuasar-v2 with containerd-shim-runc-v2 in one run")
  .option("--pods <number>", "pods one after another", count, 20)
  .option("--crowd <number>", "pods at once", count, 50)
  .option("--rounds <number>", "rounds of pods at once", count, 2)
  .option("--memory-pods <number>", "also the memory of this many pods with a container (target: of 200)", count)
  .option("--json <file>", "where the figures go", join(cacheDirectory(), "bench.json"))
  .addOption(
    new Option("--runtime <name>", "what runs the kuasar shim's containers, beside the runc shim's with runc")
      .choices(["runc", "crun"])
      .default("runc"),
  )
  .option("--itself", "compare containerd's shim with itself, to see the machine's noise", false)
  .action(bench);

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
