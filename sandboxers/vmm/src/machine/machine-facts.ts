import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { JsonObject } from "@kuasar/framework/store/json";

/** What is kept of a machine for those who ask what it is. */
export interface MachineFacts {
  /** "qemu" */
  readonly hypervisor: string;
  /** "KVM", or "emulated (TCG)" and why. */
  readonly accelerator: string;
  readonly emulated: boolean;
  readonly vcpus: number;
  readonly memoryMiB: number;
  /** As the guest's kernel was told: `virtio:NAME`, `vsock:PORT`. */
  readonly channel: string;
  /** The guest's, as it says; "" before it has come up. */
  readonly kernel: string;
  /** What of its memory the guest's kernel kept for itself when it booted, by its own account. */
  readonly kernelBytes: number;
}

/** Undefined for a sandbox whose machine has not been started. */
export function machineFacts({ record }: Sandbox): MachineFacts | undefined {
  return record.engine.machine as unknown as MachineFacts | undefined;
}

export function noteMachineFacts(sandbox: Sandbox, facts: MachineFacts): void {
  sandbox.update({ engine: { ...sandbox.record.engine, machine: { ...facts } as unknown as JsonObject } });
}
