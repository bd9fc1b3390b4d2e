import { type RuntimeCase, runtimeCases } from "../integration/runtime-case.ts";
import { vmCases } from "../integration/vm-case.ts";
import { wasmCases } from "../integration/wasm-case.ts";
import type { FaultKind } from "./fault-log.ts";
import type { WorkloadName } from "./pod-plan.ts";
import type { Weights } from "./random.ts";
import { churnImage, compiledModulesMb } from "./wasm-workload.ts";

/** What is churned: the way from containerd to a sandboxer, what its pods run, and what is killed how often. */
export interface Subject {
  readonly runtimeCase: RuntimeCase;
  readonly workloads: Weights<WorkloadName>;
  readonly faults: Weights<FaultKind>;
  /** Between two faults, at most; the usual half second where it is left out. */
  readonly calmMs?: number;
  /** The network that all of its pods have; some have the host's where it is left out. */
  readonly network?: "cni";
}

export const sandboxers = ["runc", "wasmtime", "wasmedge", "vmm"] as const;
export const modes = ["default", "shim", "runc"] as const;

/** containerd's own shim has no sandboxer, and is its own `start`: what is left makes sense there, too. */
const withoutSandboxer: Weights<FaultKind> = {
  shim: 2,
  containerd: 1.5,
  init: 6,
  pause: 2,
  exec: 5,
  runc: 6,
};
const behindSandboxer: Weights<FaultKind> = {
  ...withoutSandboxer,
  sandboxer: 5,
  both: 0.7,
  "start command": 4,
  "delete command": 2,
};

/** What is in a machine is not to be seen from here, and cannot be killed from here. */
const behindMachine: Weights<FaultKind> = {
  shim: 1,
  containerd: 1,
  sandboxer: 5,
  both: 0.7,
  "start command": 2,
  "delete command": 1,
  hypervisor: 2,
  virtiofsd: 2,
};

/**
 * @param sandboxer "wasmtime" and "wasmedge" are the wasm sandboxer with that engine
 * @param mode "runc" is containerd's own shim, whatever the sandboxer
 */
export function subjectOf(sandboxer: (typeof sandboxers)[number], mode: (typeof modes)[number]): Subject {
  const runtimeCase = caseOf(sandboxer, mode);
  if (mode === "runc") return { runtimeCase, ...linuxOnly, faults: withoutSandboxer };
  if (sandboxer === "runc") return { runtimeCase, ...linuxOnly, faults: behindSandboxer };
  if (sandboxer === "vmm") {
    // An emulated machine takes seconds to boot, and shall come that far now and then.
    return { runtimeCase, workloads: { guest: 1 }, faults: behindMachine, network: "cni", calmMs: 30_000 };
  }
  return { runtimeCase, workloads: { wasm: 4, linux: 1 }, faults: { ...behindSandboxer, compiler: 4 } };
}

/** As {@link subjectOf}; the modules of Wasm pods are those of the workload. */
export function caseOf(sandboxer: (typeof sandboxers)[number], mode: (typeof modes)[number]): RuntimeCase {
  if (mode === "runc") return caseIn(runtimeCases, ({ sandboxer }) => !sandboxer);
  const isMode = ({ sandboxer, sandboxMode }: RuntimeCase) =>
    sandboxer && (sandboxMode === "shim") === (mode === "shim");
  if (sandboxer === "runc") return caseIn(runtimeCases, isMode);
  return sandboxer === "vmm" ? caseIn(vmCases, isMode) : wasmCase(caseIn(wasmCases(sandboxer), isMode));
}

const linuxOnly = { workloads: { linux: 1 } } as const;

function caseIn(cases: readonly RuntimeCase[], fits: (runtimeCase: RuntimeCase) => boolean): RuntimeCase {
  const found = cases.find(fits);
  if (!found) throw new Error("expected a case that fits");
  return found;
}

function wasmCase(runtimeCase: RuntimeCase): RuntimeCase {
  return {
    ...runtimeCase,
    config: async () => ({ ...(await runtimeCase.config?.()), compiled_modules_mb: compiledModulesMb }),
    images: () => [churnImage()],
  };
}
