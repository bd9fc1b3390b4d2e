import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PrivateContainerd } from "@kuasar/install/private-containerd";
import { stringify } from "smol-toml";
import { openArena } from "./arena.ts";

/** One side of the comparison. */
export interface Contestant {
  /** CRI's runtime handler. */
  readonly handler: string;
  readonly type: string;
  /** Flags with which `ctr run` chooses the same. */
  readonly ctrFlags: readonly string[];
  /** Name of the shim's program. */
  readonly shim: string;
  /** The process that all pods share, where there is one. */
  readonly sandboxerPid: number | undefined;
}

export interface Contest {
  readonly containerd: PrivateContainerd;
  readonly baseline: Contestant;
  readonly candidate: Contestant;
  close(): Promise<void>;
}

const stock = { type: "io.containerd.runc.v2", shim: "containerd-shim-runc-v2", ctrFlags: [], sandboxerPid: undefined };

export interface ContestOptions {
  /** Takes containerd's shim as the candidate too: what differs then is the machine's noise. */
  readonly itself: boolean;
  /** What runs the candidate's containers. The baseline's are run by runc. */
  readonly runtime: "runc" | "crun";
}

/** One containerd with both runtimes, so that they are measured side by side. */
export async function openContest({ itself, runtime }: ContestOptions): Promise<Contest> {
  const sandboxers = itself ? {} : { candidate: { program: "runc-sandboxer", options: { runtime } } };
  const others = { baseline: { runtime_type: stock.type }, ...(itself && { candidate: { runtime_type: stock.type } }) };
  const { directory, containerd, sandboxer, close } = await openArena(sandboxers, others);
  const baseline = { handler: "baseline", ...stock };
  if (itself) return { containerd, baseline, candidate: { handler: "candidate", ...stock }, close };
  const { process } = sandboxer("candidate");
  const optionsFile = join(directory, "runtime-options.toml");
  await writeFile(optionsFile, stringify({ socket: process.options.socket, runtime }));
  const candidate: Contestant = {
    handler: "candidate",
    type: "io.containerd.kuasar.v2",
    shim: "containerd-shim-kuasar-v2",
    ctrFlags: ["--runtime-config-path", optionsFile],
    sandboxerPid: process.pid,
  };
  return { containerd, baseline, candidate, close };
}
