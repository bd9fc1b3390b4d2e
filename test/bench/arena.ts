import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RuntimeEntry } from "@kuasar/install/containerd-config";
import { labParts } from "@kuasar/install/parts";
import { createPrivateContainerd, type PrivateContainerd } from "@kuasar/install/private-containerd";
import { programDirectory, programPath } from "@kuasar/install/programs";
import { SandboxerProcess } from "@kuasar/install/sandboxer-process";
import { stringify, type TomlTable } from "smol-toml";

export interface ArenaSandboxer {
  readonly program: string;
  /** Its file; none for one without. */
  readonly config?: TomlTable;
  readonly args?: readonly string[];
  readonly podAnnotations?: readonly string[];
  /** Of the runtime, beside the socket. */
  readonly options?: TomlTable;
}

/** One containerd with all that is measured against each other, in a folder of their own. */
export interface Arena {
  readonly directory: string;
  readonly containerd: PrivateContainerd;
  /** The sandboxer of a handler, and its folder. */
  sandboxer(handler: string): { readonly process: SandboxerProcess; readonly folder: string };
  /** Throws if something is left. */
  close(): Promise<void>;
}

/**
 * @param sandboxers by the handlers that pods name
 * @param others handlers without a sandboxer of ours
 */
export async function openArena(
  sandboxers: Readonly<Record<string, ArenaSandboxer>>,
  others: Readonly<Record<string, RuntimeEntry>> = {},
): Promise<Arena> {
  const parts = await labParts();
  const directory = await mkdtemp(join(tmpdir(), "kuasar-bench-"));
  const handlers = await Promise.all(
    Object.entries(sandboxers).map(async ([handler, { program, config, args = [], podAnnotations, options }]) => {
      const [socket, configFile] = [join(directory, `${handler}.sock`), join(directory, `${handler}.toml`)];
      const folder = join(directory, handler);
      if (config) await writeFile(configFile, stringify(config));
      const process = new SandboxerProcess({
        program: programPath(program),
        socket,
        directory: folder,
        logFile: join(directory, `${handler}.log`),
        args: [...(config ? ["--config", configFile] : []), ...args],
      });
      const runtime: RuntimeEntry = {
        runtime_type: "io.containerd.kuasar.v2",
        options: { socket, ...options },
        ...(podAnnotations && { pod_annotations: [...podAnnotations] }),
      };
      return { handler, process, folder, runtime };
    }),
  );
  const containerd = await createPrivateContainerd({
    directory: join(directory, "containerd"),
    parts,
    path: [programDirectory()],
    runtimes: { ...others, ...Object.fromEntries(handlers.map(({ handler, runtime }) => [handler, runtime])) },
  });
  const close = async () => {
    const remains = await containerd.stop();
    for (const { process } of handlers) await process.kill("SIGTERM");
    await rm(directory, { recursive: true });
    if (remains.length > 0) throw new Error(`left over after the bench:\n${remains.join("\n")}`);
  };
  try {
    for (const { process } of handlers) await process.start();
    await containerd.start();
    await containerd.importImages();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    directory,
    containerd,
    sandboxer(handler) {
      const found = handlers.find((each) => each.handler === handler);
      if (!found) throw new Error(`no sandboxer serves the handler ${handler}`);
      return found;
    },
    close,
  };
}
