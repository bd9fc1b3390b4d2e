import { busyboxReference } from "@kuasar/install/images";
import type { ContainerOptions } from "@kuasar/install/pod";
import { caseOf, type modes, type sandboxers } from "../churn/subject.ts";
import { churnImage, wasm } from "../churn/wasm-workload.ts";
import type { RuntimeCase } from "../integration/runtime-case.ts";

/** What is struck: the way from containerd to a sandboxer, and what containers run behind that. */
export interface Subject {
  readonly runtimeCase: RuntimeCase;
  /** One that runs until it is stopped, and what it ends with then. */
  readonly stays: ContainerOptions;
  readonly stoppedCode: number;
  /** A command in it that ends once it would hear of SIGTERM: until then a first process is not ended by that. */
  readonly heeds?: readonly string[];
  /** One that ends at once, well. */
  readonly ends: ContainerOptions;
  /** What says a line and ends with 3, in a container that stays or as one of its own. */
  readonly says: { readonly image: string; readonly command: readonly string[]; readonly stdout: string };
  /** A sandboxer that is killed between passing output on and noting that shows it again (docs/vmm.md). */
  readonly mayRepeat: boolean;
  /** Whether a container's root is below its process on this host, or in a machine. */
  readonly rootIsHere: boolean;
  /** Whether runc can be stood in for. */
  readonly hasRuntime: boolean;
}

export const CODE_OF_SAYS = 3;

const linux = {
  stays: {},
  stoppedCode: 0,
  // Bit 14 of the signals that its shell catches.
  heeds: ["sh", "-c", "until grep -q 'SigCgt:.*[4-7c-f]...$' /proc/1/status; do sleep 0.01; done"],
  ends: { command: ["true"] },
  says: { image: busyboxReference, command: ["sh", "-c", "echo out; exit 3"], stdout: "out\n" },
};

const image = churnImage().reference;
const module = (kind: "ends" | "left") => ({
  image,
  command: wasm.command({
    ...{ kind, name: "module", workload: "wasm", code: 0, afterMs: 0, lastsMs: 0, execs: [], removed: true },
  }),
});

const modules = {
  stays: module("left"),
  // A signal ends a module.
  stoppedCode: 143,
  ends: module("ends"),
  says: {
    image,
    command: wasm.execCommand("module", { code: CODE_OF_SAYS, lastsMs: 0 }),
    stdout: "from module-exec\n",
  },
};

export function subjectOf(sandboxer: (typeof sandboxers)[number], mode: (typeof modes)[number]): Subject {
  return {
    runtimeCase: caseOf(sandboxer, mode),
    ...(sandboxer === "wasmtime" || sandboxer === "wasmedge" ? modules : linux),
    mayRepeat: sandboxer === "vmm",
    rootIsHere: sandboxer !== "vmm",
    hasRuntime: sandboxer === "runc",
  };
}
