import { release } from "node:os";
import { whyNoKvm } from "@kuasar/vmm-sandboxer/hypervisor/kvm";
import { guestImageIn } from "@kuasar/vmm-sandboxer/machine/guest-image";
import type { TomlTable } from "smol-toml";
import { findProgram } from "../parts/system-packages.mjs";
import type { WasmParts } from "../parts.mjs";
import { cgroupMode } from "./cgroup-tree.ts";
import { missingForMachines } from "./machine-needs.ts";
import { type SandboxerKind, sandboxerKinds } from "./sandboxer-kinds.ts";
import { wasmReference } from "./wasm-image.ts";

/** What was fetched or made for the engines. */
export interface EngineParts {
  readonly wasm: WasmParts;
  /** The folder with what virtual machines boot. */
  readonly guest: string;
}

/** One way to run a container: a sandboxer with one of its engines. */
export interface Engine {
  readonly sandboxer: string;
  readonly engine: string;
  /** The sandboxer's configuration file that chooses the engine. */
  config(parts: EngineParts): TomlTable;
  /** Of the demo's container. Default: busybox's. */
  readonly image?: string;
  /** What the demo's container runs; its first line of output is shown. */
  readonly command: readonly string[];
  /** The port of the pod's address that is fetched, and its first line shown instead. */
  readonly httpPort?: number;
  /** What is shown in place of that line. */
  shown?(line: string): string;
  /** A pod is a virtual machine, whose memory is among what a pod takes. */
  readonly machine?: true;
  /** Why this machine cannot run it; undefined where it should. */
  obstacle(): string | undefined;
}

const greeting = ["sh", "-c", 'echo "hello from $(hostname), pid $$"; exec sleep 100000'];

/** A new engine is one entry here. */
export const engines: readonly Engine[] = [
  {
    sandboxer: "runc",
    engine: "runc",
    config: () => ({ runtime: "runc" }),
    command: greeting,
    obstacle: () => missing("runc"),
  },
  {
    sandboxer: "runc",
    engine: "crun",
    config: () => ({ runtime: "crun" }),
    command: greeting,
    obstacle: () =>
      missing("crun") ??
      (cgroupMode() === "hybrid"
        ? "crun refuses a host whose cgroups are in hybrid mode (v1 and v2 at once)"
        : undefined),
  },
  {
    sandboxer: "wasm",
    engine: "wasmedge",
    config: ({ wasm }) => ({ engine: "wasmedge", ...wasm }),
    image: wasmReference,
    command: ["/hello.wasm"],
    obstacle: () => undefined,
  },
  {
    sandboxer: "wasm",
    engine: "wasmtime",
    config: ({ wasm }) => ({ engine: "wasmtime", ...wasm }),
    image: wasmReference,
    command: ["/http.wat"],
    httpPort: 8080,
    obstacle: () => undefined,
  },
  {
    sandboxer: "vmm",
    engine: "qemu",
    // containerd gives up after two minutes; an emulated machine on a busy host may take one.
    config: ({ guest }) => ({ hypervisor: { ...guestImageIn(guest), boot_timeout_in_ms: 110_000, debug: true } }),
    command: ["sh", "-c", 'echo "kernel $(uname -r) in the pod"; exec sleep 100000'],
    shown: (line) => `${line}, ${release()} on the host${emulated()}`,
    machine: true,
    obstacle: () => missingForMachines().map((need) => `${need} is not installed`)[0],
  },
];

function emulated(): string {
  const missing = whyNoKvm();
  return missing === "" ? "" : ` (emulated: ${missing})`;
}

function missing(program: string): string | undefined {
  return findProgram(program) ? undefined : `${program} is not installed`;
}

export function kindOf(engine: Engine): SandboxerKind {
  const kind = sandboxerKinds.find(({ kind }) => kind === engine.sandboxer);
  if (!kind) throw new Error(`engine ${engine.engine}: there is no sandboxer ${engine.sandboxer}`);
  return kind;
}
