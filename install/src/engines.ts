import type { TomlTable } from "smol-toml";
import { findProgram } from "../parts/system-packages.mjs";
import { cgroupMode } from "./cgroup-tree.ts";
import { type SandboxerKind, sandboxerKinds } from "./sandboxer-kinds.ts";

/** One way to run a container: a sandboxer with one of its engines. */
export interface Engine {
  readonly sandboxer: string;
  readonly engine: string;
  /** The sandboxer's configuration file that chooses the engine. */
  readonly config: TomlTable;
  /** What the demo's container runs; its first line of output is shown. */
  readonly command: readonly string[];
  /** Why this machine cannot run it; undefined where it should. */
  obstacle(): string | undefined;
}

const greeting = ["sh", "-c", 'echo "hello from $(hostname), pid $$"; exec sleep 100000'];

/** A new engine is one entry here. */
export const engines: readonly Engine[] = [
  {
    sandboxer: "runc",
    engine: "runc",
    config: { runtime: "runc" },
    command: greeting,
    obstacle: () => missing("runc"),
  },
  {
    sandboxer: "runc",
    engine: "crun",
    config: { runtime: "crun" },
    command: greeting,
    obstacle: () =>
      missing("crun") ??
      (cgroupMode() === "hybrid"
        ? "crun refuses a host whose cgroups are in hybrid mode (v1 and v2 at once)"
        : undefined),
  },
];

function missing(program: string): string | undefined {
  return findProgram(program) ? undefined : `${program} is not installed`;
}

export function kindOf(engine: Engine): SandboxerKind {
  const kind = sandboxerKinds.find(({ kind }) => kind === engine.sandboxer);
  if (!kind) throw new Error(`engine ${engine.engine}: there is no sandboxer ${engine.sandboxer}`);
  return kind;
}
