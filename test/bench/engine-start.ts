import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pod } from "@kuasar/install/pod";
import { criNamespace, type PrivateContainerd } from "@kuasar/install/private-containerd";
import { wasmImage, wasmReference } from "@kuasar/install/wasm-image";
import { containerd as wire } from "@kuasar/proto/containerd";
import { TaskService } from "@kuasar/proto/definitions";
import { createClient, createStub, type Stub } from "ttrpc-ts";
import { connect } from "ttrpc-ts/node";
import { median, timed } from "./statistics.ts";

/** Milliseconds until a module's first output, by the engine alone and by the shim's Task service; medians. */
export interface EngineStart {
  /** The engine with the same file, compiled, and the same arguments. */
  readonly bare: number;
  /** From the request for Create on, without containerd. */
  readonly whole: number;
  /** Of `whole`, until Create is answered. */
  readonly create: number;
  /** The least of `whole` minus the least of `bare`, which a busy machine changes less. */
  readonly leastAdded: number;
}

export interface EngineStartOptions {
  readonly containerd: PrivateContainerd;
  /** The engine's program, with its dynamic loader before it if it has one of its own. */
  readonly program: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  /** The compiled modules of the sandboxer. */
  readonly modules: string;
  readonly rounds: number;
}

/** So many of the one, and then of the other. */
const BATCH = 5;
const MODULE = "hello.wasm";
const SIGKILL = 9;
const api = wire.task.v2;

/** Measures both by turns, in one pod. */
export async function engineStart(options: EngineStartOptions): Promise<EngineStart> {
  const folder = mkdtempSync(join(tmpdir(), "kuasar-engine-start-"));
  const { containerd } = options;
  const { cri, cgroupParent } = containerd;
  const pod = await Pod.run(cri, { handler: "wasm", cgroupParent, annotations: options.annotations, network: "cni" });
  try {
    const tasks = await connectToShim(containerd, pod.id);
    const container = await containerOf(containerd, pod, folder);
    const bare = startBare(await bareCommand(options, tasks.stub, container, folder), folder);
    const samples = { bare: [] as number[], whole: [] as number[], create: [] as number[] };
    for (let round = 0; round < options.rounds; round++) {
      for (let index = 0; index < BATCH; index++) samples.bare.push(await bare.firstOutput());
      for (let index = 0; index < BATCH; index++) {
        const { create, whole } = await throughShim(tasks.stub, container, `engine-start-${round}-${index}`);
        samples.create.push(create);
        samples.whole.push(whole);
      }
    }
    bare.end();
    tasks.close();
    return {
      bare: median(samples.bare),
      whole: median(samples.whole),
      create: median(samples.create),
      leastAdded: Math.min(...samples.whole) - Math.min(...samples.bare),
    };
  } finally {
    await pod.remove();
    rmSync(folder, { recursive: true });
  }
}

async function connectToShim({ layout }: PrivateContainerd, podId: string) {
  const bundle = join(layout.state, "io.containerd.runtime.v2.task", criNamespace, podId);
  const address = readFileSync(join(bundle, "address"), "utf8").trim();
  const client = createClient(await connect(address.replace("unix://", ""), { timeoutMs: 5_000 }));
  return { stub: createStub(TaskService, client), close: () => client.close() };
}

/** A spec as CRI makes it, and the image's files in a layer. */
interface Container {
  readonly spec: Record<string, unknown> & {
    linux: Record<string, unknown>;
    process: Record<string, unknown>;
  };
  readonly folder: string;
  readonly layer: string;
}

async function containerOf(containerd: PrivateContainerd, pod: Pod, folder: string): Promise<Container> {
  const id = await pod.create({ image: wasmReference, command: [`/${MODULE}`] });
  const { stdout } = await containerd.ctr(["--namespace", criNamespace, "container", "info", id]);
  await containerd.cri.runtime.removeContainer({ containerId: id });
  const layer = join(folder, "layer");
  mkdirSync(layer);
  for (const entry of wasmImage().rootfs) {
    if (entry.type === "file") writeFileSync(join(layer, entry.path), entry.content);
  }
  return { spec: (JSON.parse(stdout) as { Spec: Container["spec"] }).Spec, folder, layer };
}

/** The command that the sandboxer starts the engine by, with paths of the host in place of those in the engine's root. */
async function bareCommand(
  { program, modules }: EngineStartOptions,
  tasks: Stub<typeof TaskService>,
  container: Container,
  folder: string,
): Promise<string[]> {
  const { spec, layer } = container;
  await throughShim(tasks, container, "compiled");
  const sleeping = { ...container, spec: { ...spec, process: { ...spec.process, args: ["/sleep.wasm"] } } };
  let argv: string[] = [];
  await throughShim(tasks, sleeping, "sleeping", async (pid) => {
    argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(1, -1);
    await tasks.kill(api.KillRequest.create({ id: "sleeping", signal: SIGKILL }));
  });
  const digest = createHash("sha256")
    .update(readFileSync(join(layer, MODULE)))
    .digest("hex");
  const engine = /wasmtime$/.test(program.at(-1) ?? "") ? "wasmtime" : "wasmedge";
  const compiled = readdirSync(modules).find(
    (name) => name.startsWith(`${digest}-${engine}`) && !name.includes(".sha"),
  );
  if (compiled === undefined) throw new Error(`${engine} has not compiled ${MODULE}`);
  copyFileSync(join(modules, compiled), join(folder, MODULE));
  const onHost = (word: string) =>
    word.replace("/module/sleep.wasm", join(folder, MODULE)).replace(/(?<=^|:)\/rootfs(?=[/:]|$)/, layer);
  const words = argv.map(onHost);
  const shown = words.flatMap((word) => word.split(":")).filter((path) => path.startsWith(layer));
  for (const path of shown) mkdirSync(path, { recursive: true });
  return [...program, ...words];
}

/** A shell that starts the engine for each line it reads: it forks in less time than Node does. */
function startBare(argv: readonly string[], folder: string) {
  const fifo = join(folder, "bare");
  execFileSync("mkfifo", [fifo]);
  const script = `while read -r _; do "$@" >${fifo}; echo; done`;
  const shell = spawn("sh", ["-c", script, "sh", ...argv], { stdio: ["pipe", "pipe", "inherit"] });
  return {
    async firstOutput(): Promise<number> {
      const ended = once(shell.stdout, "data");
      const output = outputOf(fifo);
      const { ms } = await timed(() => {
        shell.stdin.write("\n");
        return output.first;
      });
      await ended;
      // The next one's output is not for this reader.
      await output.end;
      return ms;
    },
    end: () => void shell.stdin.end(),
  };
}

/** The first bytes that come, and when all have come and the file is closed. */
function outputOf(fifo: string): { first: Promise<string>; end: Promise<void> } {
  const opened = open(fifo);
  const first = opened.then(async (file) => {
    const { buffer, bytesRead } = await file.read();
    return buffer.toString("utf8", 0, bytesRead);
  });
  const end = first.then(async () => {
    const file = await opened;
    await file.readFile();
    await file.close();
  });
  return { first, end };
}

/** One life of a module, as containerd would have it live. */
async function throughShim(
  tasks: Stub<typeof TaskService>,
  { spec, folder, layer }: Container,
  id: string,
  whileRunning?: (pid: number) => Promise<void>,
): Promise<{ create: number; whole: number }> {
  const bundle = join(folder, id);
  const place = (name: string) => join(bundle, name);
  for (const name of ["", "rootfs", "upper", "work"]) mkdirSync(place(name));
  const cgroupsPath = `${String(spec.linux.cgroupsPath).replace(/[^/:]+$/, "")}${id}`;
  writeFileSync(place("config.json"), JSON.stringify({ ...spec, linux: { ...spec.linux, cgroupsPath } }));
  const [stdout, stderr] = [place("stdout"), place("stderr")];
  execFileSync("mkfifo", [stdout, stderr]);
  const overlay = [`lowerdir=${layer}`, `upperdir=${place("upper")}`, `workdir=${place("work")}`];
  const rootfs = [{ type: "overlay", source: "overlay", target: "", options: overlay }];
  const outputs = [stdout, stderr].map(outputOf);
  const output = outputs[0]?.first;
  const request = api.CreateTaskRequest.create({ id, bundle, rootfs, stdout, stderr });
  const created = await timed(() => tasks.create(request));
  const started = await timed(async () => {
    await tasks.start(api.StartRequest.create({ id }));
    await (whileRunning ? whileRunning(created.value.pid) : output);
  });
  const { exitStatus } = await tasks.wait(api.WaitRequest.create({ id }));
  await tasks.delete(api.DeleteRequest.create({ id }));
  await Promise.all(outputs.map(({ end }) => end));
  const said = await output;
  if (!whileRunning && (exitStatus !== 0 || !said?.includes("hello"))) {
    throw new Error(`the module ended with ${exitStatus} and said ${JSON.stringify(said)}`);
  }
  rmSync(bundle, { recursive: true });
  return { create: created.ms, whole: created.ms + started.ms };
}
