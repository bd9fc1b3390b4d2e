import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RuntimeEntry } from "@kuasar/install/containerd-config";
import { labParts } from "@kuasar/install/parts";
import { createPrivateContainerd, type PrivateContainerd } from "@kuasar/install/private-containerd";
import { programDirectory, programPath } from "@kuasar/install/programs";
import { SandboxerProcess } from "@kuasar/install/sandboxer-process";
import { stringify } from "smol-toml";

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

export interface Arena {
  readonly containerd: PrivateContainerd;
  readonly baseline: Contestant;
  readonly candidate: Contestant;
  close(): Promise<void>;
}

const stock = { type: "io.containerd.runc.v2", shim: "containerd-shim-runc-v2", ctrFlags: [], sandboxerPid: undefined };

export interface ArenaOptions {
  /** Takes containerd's shim as the candidate too: what differs then is the machine's noise. */
  readonly itself: boolean;
  /** What runs the candidate's containers. The baseline's are run by runc. */
  readonly runtime: "runc" | "crun";
}

/** One containerd with both runtimes, so that they are measured side by side. */
export async function openArena({ itself, runtime }: ArenaOptions): Promise<Arena> {
  const parts = await labParts();
  const directory = await mkdtemp(join(tmpdir(), "kuasar-bench-"));
  const socket = join(directory, "sandboxer.sock");
  const sandboxer = itself
    ? undefined
    : new SandboxerProcess({
        program: programPath("runc-sandboxer"),
        socket,
        directory: join(directory, "sandboxes"),
        logFile: join(directory, "sandboxer.log"),
      });
  const optionsFile = join(directory, "runtime-options.toml");
  const candidateEntry: RuntimeEntry = sandboxer
    ? { runtime_type: "io.containerd.kuasar.v2", options: { socket, runtime } }
    : { runtime_type: stock.type };
  const containerd = await createPrivateContainerd({
    directory: join(directory, "containerd"),
    parts,
    path: [programDirectory()],
    runtimes: { baseline: { runtime_type: stock.type }, candidate: candidateEntry },
  });
  const close = async () => {
    const remains = await containerd.stop();
    await sandboxer?.kill("SIGTERM");
    await rm(directory, { recursive: true });
    if (remains.length > 0) throw new Error(`left over after the bench:\n${remains.join("\n")}`);
  };
  try {
    await writeFile(optionsFile, stringify({ socket, runtime }));
    await sandboxer?.start();
    await containerd.start();
    await containerd.importImages();
  } catch (error) {
    await close();
    throw error;
  }
  const candidate: Contestant = sandboxer
    ? {
        handler: "candidate",
        type: "io.containerd.kuasar.v2",
        shim: "containerd-shim-kuasar-v2",
        ctrFlags: ["--runtime-config-path", optionsFile],
        sandboxerPid: sandboxer.pid,
      }
    : { handler: "candidate", ...stock };
  return { containerd, baseline: { handler: "baseline", ...stock }, candidate, close };
}
