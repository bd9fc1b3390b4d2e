import { invalidArgument } from "@kuasar/framework/error/sandbox-error";
import type { OciResources, OciSpec } from "@kuasar/framework/oci/spec";
import type { PodConfig } from "@kuasar/framework/pause/pod-config";

/** Processors and memory. */
export interface Size {
  readonly vcpus: number;
  readonly memoryMiB: number;
}

/** Where nothing is limited. */
export const NO_SIZE: Size = { vcpus: 0, memoryMiB: 0 };

export const sum = (sizes: readonly Size[]): Size =>
  sizes.reduce((a, b) => ({ vcpus: a.vcpus + b.vcpus, memoryMiB: a.memoryMiB + b.memoryMiB }), NO_SIZE);

export const larger = (a: Size, b: Size): Size => ({
  vcpus: Math.max(a.vcpus, b.vcpus),
  memoryMiB: Math.max(a.memoryMiB, b.memoryMiB),
});

const MEBIBYTE = 1024 * 1024;

/** containerd's, of a pause container's spec. Contract: `pkg/cri/annotations/annotations.go` of containerd 1.7. */
const ANNOTATION = {
  period: "io.kubernetes.cri.sandbox-cpu-period",
  quota: "io.kubernetes.cri.sandbox-cpu-quota",
  memory: "io.kubernetes.cri.sandbox-memory",
} as const;

/**
 * What a pod's containers may use together: what the kubelet has added up, or, for a container without a pod, its own
 * limits. INVALID_ARGUMENT for an annotation that is no number.
 */
export function podSize(lone: boolean, pod: PodConfig | undefined, spec: OciSpec | undefined): Size {
  if (pod) {
    const { cpuPeriod = 0, cpuQuota = 0, memoryLimitBytes = 0 } = pod.resources ?? {};
    return sizeOf(cpuQuota, cpuPeriod, memoryLimitBytes);
  }
  if (lone) return limitsOf(spec?.linux?.resources);
  const { annotations = {} } = spec ?? {};
  return sizeOf(
    wholeNumber(annotations, ANNOTATION.quota),
    wholeNumber(annotations, ANNOTATION.period),
    wholeNumber(annotations, ANNOTATION.memory),
  );
}

/** What a container's limits (OCI `linux.resources`) amount to. */
export function limitsOf({ cpu, memory }: OciResources = {}): Size {
  return sizeOf(cpu?.quota ?? 0, cpu?.period ?? 0, memory?.limit ?? 0);
}

/** A limit of 0 or below is none. */
function sizeOf(quota: number, period: number, memoryBytes: number): Size {
  return {
    vcpus: quota > 0 && period > 0 ? Math.ceil(quota / period) : 0,
    memoryMiB: memoryBytes > 0 ? Math.ceil(memoryBytes / MEBIBYTE) : 0,
  };
}

function wholeNumber(annotations: Readonly<Record<string, string>>, name: string): number {
  const text = annotations[name] ?? "0";
  // What is beyond this is beyond any machine.
  if (!/^-?\d{1,18}$/.test(text)) {
    throw invalidArgument(`annotation ${name} is ${JSON.stringify(text.slice(0, 64))}, expected a whole number`);
  }
  return Number(text);
}
