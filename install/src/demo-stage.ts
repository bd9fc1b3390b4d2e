import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { cacheDirectory, type LabParts } from "../parts.mjs";
import { type Engine, type EngineParts, engines, kindOf } from "./engines.ts";
import { createPrivateContainerd, openPrivateContainerd, type PrivateContainerd } from "./private-containerd.ts";
import { programDirectory, programPath } from "./programs.ts";
import { SandboxerProcess } from "./sandboxer-process.ts";
import { wasmImage } from "./wasm-image.ts";

/** A sandboxer with one engine chosen, and CRI's runtime handler that leads to it. */
export interface Station {
  readonly engine: Engine;
  readonly handler: string;
  readonly sandboxer: SandboxerProcess;
}

/** Everything one demo has running: a private containerd, and a sandboxer for each engine. */
export interface Stage {
  readonly directory: string;
  readonly containerd: PrivateContainerd;
  readonly stations: readonly Station[];
}

const containerdDirectory = (directory: string) => join(directory, "containerd");
const handlerOf = ({ sandboxer, engine }: Engine) => `kuasar-${sandboxer}-${engine}`;

/** Starts a containerd and a sandboxer for each engine that this machine can have. */
export async function setStage(
  parts: LabParts,
  engineParts: EngineParts,
  report: (line: string) => void,
): Promise<Stage> {
  const possible = engines.filter((engine) => engine.obstacle() === undefined);
  const programs = new Map(possible.map((engine) => [engine, programPath(kindOf(engine).program)]));
  const directory = await mkdtemp(join(tmpdir(), "kuasar-demo-"));
  const stations = [...programs].map(([engine, program]): Station => {
    const handler = handlerOf(engine);
    const configFile = join(directory, `${handler}.toml`);
    writeFileSync(configFile, stringify(engine.config(engineParts)));
    const sandboxer = new SandboxerProcess({
      program,
      socket: join(directory, `${handler}.sock`),
      directory: join(directory, handler),
      logFile: join(directory, `${handler}.log`),
      args: ["--config", configFile],
    });
    return { engine, handler, sandboxer };
  });
  const runtimes = stations.map(({ handler, sandboxer }) => [
    handler,
    { runtime_type: "io.containerd.kuasar.v2", options: { socket: sandboxer.options.socket } },
  ]);
  const containerd = await createPrivateContainerd({
    directory: containerdDirectory(directory),
    parts,
    path: [programDirectory()],
    runtimes: Object.fromEntries(runtimes),
  });
  const stage = { directory, containerd, stations };
  try {
    for (const { sandboxer } of stations) {
      report(`starting ${sandboxer.options.program}`);
      await sandboxer.start();
    }
    report("starting containerd");
    await containerd.start();
    report("making the images");
    await containerd.importImages();
    await containerd.importImage(wasmImage());
  } catch (error) {
    await takeDown(stage);
    throw error;
  }
  return stage;
}

/** @returns what had to be removed by force */
export async function takeDown({ directory, containerd, stations }: Stage): Promise<string[]> {
  const remains = await containerd.stop();
  for (const { sandboxer } of stations) await sandboxer.kill("SIGTERM");
  await rm(directory, { recursive: true });
  return remains;
}

interface StageRecord {
  readonly directory: string;
  readonly sandboxers: [engine: number, ...SandboxerProcess["record"]][];
}

const recordFile = () => join(cacheDirectory(), "demo.json");

/** Notes a stage that stays when this process ends, for `reopenStage`. */
export function keepStage({ directory, stations }: Stage): void {
  const sandboxers = stations.map(({ engine, sandboxer }): StageRecord["sandboxers"][number] => [
    engines.indexOf(engine),
    ...sandboxer.record,
  ]);
  mkdirSync(cacheDirectory(), { recursive: true });
  writeFileSync(recordFile(), JSON.stringify({ directory, sandboxers } satisfies StageRecord));
}

/** The stage that `keepStage` noted. The note is gone afterwards. */
export async function reopenStage(): Promise<Stage> {
  if (!existsSync(recordFile())) throw new Error("no demo was kept: there is nothing to take down");
  const record = JSON.parse(readFileSync(recordFile(), "utf8")) as StageRecord;
  const stations = record.sandboxers.map(([index, ...args]): Station => {
    const engine = engines[index];
    if (!engine) throw new Error(`${recordFile()}: expected the index of an engine, got ${index}`);
    return { engine, handler: handlerOf(engine), sandboxer: new SandboxerProcess(...args) };
  });
  const containerd = openPrivateContainerd(containerdDirectory(record.directory));
  await rm(recordFile());
  return { directory: record.directory, containerd, stations };
}
