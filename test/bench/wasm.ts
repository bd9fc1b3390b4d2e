// What a module takes to run as a container, beside busybox by containerd's own shim and beside the bare engine, in one run.
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { busyboxReference } from "@kuasar/install/images";
import { overheadMemory } from "@kuasar/install/overhead-memory";
import { cacheDirectory, wasmParts } from "@kuasar/install/parts";
import { Pod } from "@kuasar/install/pod";
import { wasmImage, wasmReference } from "@kuasar/install/wasm-image";
import { Command } from "commander";
import { openArena } from "./arena.ts";
import { engineStart } from "./engine-start.ts";
import { count, type Finding, publish } from "./report.ts";
import { median, timed } from "./statistics.ts";

const ENGINES = ["wasmtime", "wasmedge"] as const;
type EngineName = (typeof ENGINES)[number];

interface Side {
  readonly handler: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

const busybox: Side = { handler: "runc", image: busyboxReference, command: ["true"], annotations: {} };
const module = (engine: EngineName): Side => ({
  handler: "wasm",
  image: wasmReference,
  command: ["/hello.wasm"],
  annotations: { "kuasar.io/wasm-engine": engine },
});

interface BenchOptions {
  readonly pods: number;
  readonly crowd: number;
  readonly json: string;
}

async function openWasmArena() {
  const engines = await wasmParts();
  const wasm = { program: "wasm-sandboxer", config: { ...engines }, podAnnotations: ["kuasar.io/*"] };
  const arena = await openArena({ wasm }, { runc: { runtime_type: "io.containerd.runc.v2" } });
  try {
    await arena.containerd.importImage(wasmImage());
  } catch (error) {
    await arena.close();
    throw error;
  }
  const { process, folder } = arena.sandboxer("wasm");
  return { ...arena, engines, sandboxer: process, modules: join(folder, ".modules") };
}

type Arena = Awaited<ReturnType<typeof openWasmArena>>;

/** Milliseconds until a pod with a container has been started. */
async function startPod({ containerd }: Arena, { handler, image, command, annotations }: Side): Promise<number> {
  const { cri, cgroupParent } = containerd;
  const { ms, value: pod } = await timed(async () => {
    const pod = await Pod.run(cri, { handler, cgroupParent, annotations });
    await pod.start({ image, command });
    return pod;
  });
  await removeEnding(pod);
  return ms;
}

/**
 * A container that is just ending by itself is deleted by containerd at that moment, which closes its connection to it:
 * whoever stops it meanwhile is told "ttrpc: closed" (runtime/v2/shim.go, delete), and asks again, as the kubelet does.
 */
async function removeEnding(pod: Pod): Promise<void> {
  await pod.remove().catch(() => pod.remove());
}

/** A program in a tree with a dynamic loader of its own runs by that. */
async function commandOf(program: string): Promise<[string, ...string[]]> {
  const lib = join(dirname(dirname(program)), "lib");
  for (const machine of program.endsWith("/usr/bin/wasmedge") ? readdirSync(lib) : []) {
    const loader = readdirSync(join(lib, machine)).find((name) => name.startsWith("ld-linux"));
    if (loader) return [join(lib, machine, loader), "--library-path", join(lib, machine), program];
  }
  return [program];
}

async function crowd({ containerd, sandboxer }: Arena, side: Side, size: number) {
  const { cri, cgroupParent } = containerd;
  const { handler, annotations, image, command } = side;
  const start = await timed(() =>
    Promise.all(
      Array.from({ length: size }, async () => {
        const pod = await Pod.run(cri, { handler, cgroupParent, annotations });
        return { pod, containerId: await pod.start({ image, command }) };
      }),
    ),
  );
  const podIds = start.value.map(({ pod }) => pod.id);
  const containerIds = start.value.map(({ containerId }) => containerId);
  const memory = overheadMemory({ podIds, sandboxerPid: sandboxer.pid, containerIds });
  await Promise.all(start.value.map(({ pod }) => pod.remove()));
  return { startMs: start.ms, memoryMb: memory.total / size / 1024 };
}

async function measure(arena: Arena, options: BenchOptions): Promise<Finding[]> {
  const sides = { busybox, wasmtime: module("wasmtime"), wasmedge: module("wasmedge") };
  const warm: Record<string, number[]> = { busybox: [], wasmtime: [], wasmedge: [] };
  const cold: Record<string, number[]> = { wasmtime: [], wasmedge: [] };
  for (const side of Object.values(sides)) await startPod(arena, side);
  for (let index = 0; index < options.pods; index++) {
    for (const [name, side] of Object.entries(sides)) warm[name]?.push(await startPod(arena, side));
  }
  for (let index = 0; index < Math.ceil(options.pods / 4); index++) {
    for (const engine of ENGINES) {
      for (const name of readdirSync(arena.modules)) rmSync(join(arena.modules, name), { recursive: true });
      cold[engine]?.push(await startPod(arena, sides[engine]));
    }
  }
  const baseline = median(warm.busybox ?? []);
  const atMost = (limit: number) => ({ kind: "ratio", bound: "at most", limit }) as const;
  const added = { kind: "value", bound: "at most", limit: 5 } as const;
  const findings: Finding[] = [];
  for (const engine of ENGINES) {
    const { annotations } = sides[engine];
    const program = await commandOf(arena.engines[engine]);
    const { containerd, modules } = arena;
    const alone = await engineStart({ containerd, program, annotations, modules, rounds: options.pods });
    findings.push(
      {
        what: `${engine}: pod + container, compiled before`,
        unit: "ms",
        baseline,
        candidate: median(warm[engine] ?? []),
        target: atMost(0.5),
      },
      { what: `${engine}: the same, with compiling`, unit: "ms", baseline, candidate: median(cold[engine] ?? []) },
      {
        what: `${engine}: until its first output, bare and as a container of a pod`,
        unit: "ms",
        baseline: alone.bare,
        candidate: alone.whole,
      },
      { what: "  of that: Create", unit: "ms", baseline: 0, candidate: alone.create },
      { what: "  added", unit: "ms", baseline: 0, candidate: alone.whole - alone.bare, target: added },
      { what: "  added, the least of each", unit: "ms", baseline: 0, candidate: alone.leastAdded, target: added },
    );
  }
  const sleeping: Side = { ...busybox, command: ["sleep", "100000"] };
  const crowds = {
    busybox: await crowd(arena, sleeping, options.crowd),
    wasmtime: await crowd(arena, { ...sides.wasmtime, command: ["/sleep.wasm"] }, options.crowd),
  };
  findings.push(
    {
      what: `${options.crowd} pods with a container at once (wasmtime)`,
      unit: "ms",
      baseline: crowds.busybox.startMs,
      candidate: crowds.wasmtime.startMs,
      target: atMost(0.5),
    },
    {
      what: "memory a pod, all but the workload (PSS)",
      unit: "MB",
      baseline: crowds.busybox.memoryMb,
      candidate: crowds.wasmtime.memoryMb,
      target: { kind: "value", bound: "at most", limit: 2 },
    },
  );
  return findings;
}

async function bench(options: BenchOptions): Promise<void> {
  const arena = await openWasmArena();
  const findings = await measure(arena, options).finally(arena.close);
  const names = ["containerd-shim-runc-v2, busybox", "kuasar, a module"] as const;
  await publish(findings, names, options.json);
}

const program = new Command("bench-wasm")
  .description("compares Wasm pods with busybox by containerd-shim-runc-v2, and with the bare engines, in one run")
  .option("--pods <number>", "pods one after another", count, 20)
  .option("--crowd <number>", "pods at once", count, 50)
  .option("--json <file>", "where the figures go", join(cacheDirectory(), "bench-wasm.json"))
  .action(bench);

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
