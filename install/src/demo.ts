import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Listr, type ListrTask } from "listr2";
import { type LabParts, labParts, wasmParts } from "../parts.mjs";
import { keepStage, reopenStage, type Stage, type Station, setStage, takeDown } from "./demo-stage.ts";
import { type DemoRow, demoTable } from "./demo-table.ts";
import { type Engine, type EngineParts, engines } from "./engines.ts";
import { firstLineOf } from "./first-line-of.ts";
import { cachedGuestImage } from "./guest-image.ts";
import { overheadMemory } from "./overhead-memory.ts";
import { Pod } from "./pod.ts";
import { programPath, shimProgram } from "./programs.ts";
import { waitUntil } from "./wait-until.ts";

export interface DemoOptions {
  /** Leaves everything running. */
  readonly keep: boolean;
}

interface DemoContext {
  parts?: LabParts;
  engineParts?: EngineParts;
  stage?: Stage;
  readonly rows: DemoRow[];
  readonly signal: AbortSignal;
}

type DemoTask = ListrTask<DemoContext>;

/** Runs a pod through every sandboxer and engine this machine can have. Returns whether all of those worked. */
export async function demo(options: DemoOptions): Promise<boolean> {
  if (process.getuid?.() !== 0) throw new Error("the demo runs containers: run it as root");
  programPath(shimProgram);
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Error("interrupted"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupt);
  const context: DemoContext = { rows: [], signal: interruption.signal };
  let kept = false;
  try {
    await run([partsTask, stageTask, podsTask], context);
    process.stdout.write(`${demoTable(context.rows)}\n`);
    if (options.keep && context.stage) {
      keepStage(context.stage);
      process.stdout.write(`${howToUse(context.stage)}\n`);
      kept = true;
    }
  } finally {
    if (context.stage && !kept) await run([takeDownTask(context.stage)], context);
  }
  return context.rows.every(({ error }) => error === undefined);
}

/** Takes down what a demo with `keep` has left. */
export async function demoDown(): Promise<void> {
  await run([takeDownTask(await reopenStage())], { rows: [], signal: new AbortController().signal });
}

async function run(tasks: DemoTask[], context: DemoContext): Promise<void> {
  // Our own signal handlers see to it that everything is taken down; listr2's would end the process at once.
  const options = { registerSignalListeners: false, rendererOptions: { collapseSubtasks: false } };
  await new Listr<DemoContext>(tasks, options).run(context);
}

const partsTask: DemoTask = {
  title: "Parts: containerd, runc, Wasm engines, QEMU and what else is needed",
  task: async (context, task) => {
    const report = (line: string) => {
      task.output = line;
    };
    context.parts = await labParts({ report });
    const wasm = await wasmParts({ report });
    const guest = await cachedGuestImage({ report });
    context.engineParts = { wasm, guest: guest.folder };
  },
};

const stageTask: DemoTask = {
  title: "A private containerd, and the sandboxers",
  task: async (context, task) => {
    if (!context.parts || !context.engineParts) throw new Error("the parts were not fetched");
    context.stage = await setStage(context.parts, context.engineParts, (line) => {
      task.output = line;
    });
  },
};

const podsTask: DemoTask = {
  title: "A pod with a container through each engine",
  task: (_, task) => task.newListr(engines.map(podTask), { exitOnError: false }),
};

function podTask(engine: Engine): DemoTask {
  const { sandboxer, engine: name } = engine;
  return {
    title: `${sandboxer} sandboxer, ${name}`,
    task: async ({ stage, rows, signal }, task) => {
      signal.throwIfAborted();
      const obstacle = engine.obstacle();
      if (obstacle !== undefined) {
        rows.push({ sandboxer, engine: name, obstacle });
        task.skip(`${sandboxer} sandboxer, ${name}: ${obstacle}`);
        return;
      }
      const station = stage?.stations.find((candidate) => candidate.engine === engine);
      if (!stage || !station) throw new Error(`${name}: its sandboxer was not started`);
      try {
        rows.push({ sandboxer, engine: name, ...(await runPod(stage, station)) });
      } catch (error) {
        rows.push({ sandboxer, engine: name, error: error instanceof Error ? error.message : String(error) });
        throw error;
      }
    },
  };
}

async function runPod({ directory, containerd }: Stage, { engine, handler, sandboxer }: Station) {
  const { cri, cgroupParent } = containerd;
  const logDirectory = join(directory, "logs");
  const begin = performance.now();
  const options = { handler, name: handler, network: "cni", hostname: handler, cgroupParent, logDirectory } as const;
  const pod = await Pod.run(cri, options);
  const { image, command } = engine;
  const containerId = await pod.start({ name: handler, command, ...(image && { image }) });
  const startedMs = performance.now() - begin;
  const output = await waitUntil(() => outputOf(pod, engine, join(logDirectory, `${handler}.log`)), {
    what: `the output of ${engine.engine}'s container`,
    timeoutMs: 60_000,
  });
  const memory = overheadMemory({ podIds: [pod.id], sandboxerPid: sandboxer.pid, containerIds: [containerId] });
  return {
    startedMs,
    output: engine.shown?.(output) ?? output,
    shimKiB: memory.shim,
    totalKiB: memory.total,
    ...(engine.machine && { machine: true as const }),
  };
}

async function outputOf(pod: Pod, { httpPort }: Engine, log: string): Promise<string | undefined> {
  if (httpPort === undefined) return firstLogLine(log);
  const url = `http://${(await pod.status()).network?.ip}:${httpPort}/`;
  const answer = await firstLineOf(url);
  return answer && `${url} answers: ${answer}`;
}

/** A CRI log line is: time, stream, F or P, text. */
function firstLogLine(file: string): string | undefined {
  return /^\S+ stdout [FP] (.*)$/m.exec(readFileSync(file, "utf8"))?.[1];
}

function takeDownTask(stage: Stage): DemoTask {
  return {
    title: "Taking everything down",
    task: async (_, task) => {
      const remains = await takeDown(stage);
      if (remains.length > 0) throw new Error(`had to be removed by force:\n${remains.join("\n")}`);
      task.title = "Everything taken down, nothing left";
    },
  };
}

function howToUse({ directory, containerd, stations }: Stage): string {
  const machines = stations.filter(({ engine }) => engine.machine);
  return [
    `kept in ${directory}`,
    `  tasks:      ${containerd.ctrCommand(["--namespace", "k8s.io", "task", "ls"]).join(" ")}`,
    `  crictl:     crictl --runtime-endpoint unix://${containerd.layout.socket} pods`,
    ...machines.map(
      ({ handler, sandboxer }) => `  a machine:  kuasar exec --socket ${sandboxer.options.socket} ${handler}`,
    ),
    "  take down:  kuasar demo --down",
  ].join("\n");
}
