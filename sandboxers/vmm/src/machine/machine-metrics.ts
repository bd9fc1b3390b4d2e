import type { GaugeMetric, HistogramMetric, SandboxerMetric } from "@kuasar/framework/metrics/sandboxer-metric";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import { type MachineFacts, machineFacts } from "./machine-facts.ts";

export interface MachineMetrics {
  readonly all: readonly SandboxerMetric[];
  /** From the hypervisor's start until the guest was set up. */
  booted(seconds: number): void;
}

const MEBIBYTE = 1024 * 1024;
const STATES: Readonly<Record<string, string>> = { starting: "booting", ready: "running", paused: "paused" };
const BOOT_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];

export function createMachineMetrics(): MachineMetrics {
  const listeners: ((seconds: number) => void)[] = [];
  const bootTime: HistogramMetric = {
    type: "histogram",
    name: "kuasar_machine_boot_seconds",
    help: "Time from the hypervisor's start until the machine was set up",
    buckets: BOOT_BUCKETS,
    onObserved: (listener) => listeners.push(listener),
  };
  return {
    all: [MACHINES, VCPUS, MEMORY, bootTime],
    booted(seconds) {
      for (const listener of listeners) listener(seconds);
    },
  };
}

const MACHINES: GaugeMetric = {
  type: "gauge",
  name: "kuasar_machines",
  help: "Virtual machines by state, and by what runs them: kvm, or emulated",
  labelNames: ["state", "accelerator"],
  *samples(sandboxes) {
    for (const { sandbox, facts } of machinesOf(sandboxes)) {
      const state = STATES[sandbox.record.state] as string;
      yield { labels: { state, accelerator: facts.emulated ? "emulated" : "kvm" }, value: 1 };
    }
  },
};

const VCPUS: GaugeMetric = {
  type: "gauge",
  name: "kuasar_machine_vcpus",
  help: "Processors of a sandbox's virtual machine",
  labelNames: ["namespace", "sandbox"],
  samples: (sandboxes) => perMachine(sandboxes, ({ vcpus }) => vcpus),
};

const MEMORY: GaugeMetric = {
  type: "gauge",
  name: "kuasar_machine_memory_bytes",
  help: "Memory of a sandbox's virtual machine, used or not",
  labelNames: ["namespace", "sandbox"],
  samples: (sandboxes) => perMachine(sandboxes, ({ memoryMiB }) => memoryMiB * MEBIBYTE),
};

function* perMachine(sandboxes: readonly Sandbox[], value: (facts: MachineFacts) => number) {
  for (const { sandbox, facts } of machinesOf(sandboxes)) {
    yield { labels: { namespace: sandbox.namespace, sandbox: sandbox.id }, value: value(facts) };
  }
}

/** Those that there are now. */
function* machinesOf(sandboxes: readonly Sandbox[]) {
  for (const sandbox of sandboxes) {
    const facts = machineFacts(sandbox);
    if (facts && Object.hasOwn(STATES, sandbox.record.state)) yield { sandbox, facts };
  }
}
