import { setTimeout as sleep } from "node:timers/promises";
import { failedPrecondition, unavailable } from "@kuasar/framework/error/sandbox-error";
import { createKeyedLock } from "@kuasar/framework/lock/keyed-lock";
import type { OciResources } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { VmmConfig } from "../config.ts";
import type { Guest } from "../guest/guest.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import { machineFacts, noteMachineFacts } from "../machine/machine-facts.ts";
import { hypervisorFolder } from "../machine/machine-folder.ts";
import { largestSize, machineSize } from "./machine-size.ts";
import { larger, limitsOf, NO_SIZE, type Size, sum } from "./pod-size.ts";

const MEBIBYTE = 1024 * 1024;
const POLL_MS = 50;
/** Of what is plugged in: a guest's kernel finds it by itself, and takes it into use when it is told to. */
const ONLINE_MS = 20_000;

/** Keeps a pod's machine as large as its containers together may be. */
export interface MachineGrowth {
  /**
   * Makes room for a container with these limits beside the others. UNAVAILABLE if the guest does not take it into use, and
   * the hypervisor's refusal; to be asked again. A machine that cannot grow, or not so far, is no error here.
   */
  makeRoom(sandbox: Sandbox, guest: Guest, task: Task, limits: Size): Promise<void>;
  /** The same for what the pod as a whole may use. */
  makeRoomForPod(sandbox: Sandbox, guest: Guest, pod: Size): Promise<void>;
  /** FAILED_PRECONDITION for limits that the machine as it is cannot give, which would be limits in name only. */
  requireWithin(sandbox: Sandbox, what: string, limits: Size): void;
}

export function createMachineGrowth(
  config: VmmConfig,
  hypervisor: Hypervisor,
  podSizeOf: (sandbox: Sandbox) => Size,
): MachineGrowth {
  const largest = largestSize(config);
  const lock = createKeyedLock();

  async function grow(sandbox: Sandbox, guest: Guest, asked: Size): Promise<void> {
    const facts = machineFacts(sandbox);
    const wanted = machineSize(config, asked, largest);
    const fits = facts && facts.vcpus >= wanted.vcpus && facts.memoryMiB >= wanted.memoryMiB;
    const { fixedSize, memoryBlockMiB } = hypervisor.capabilities();
    if (!facts || fits || fixedSize !== "") return;
    const memoryMiB = inBlocks(facts.memoryMiB, wanted.memoryMiB, largest.memoryMiB, memoryBlockMiB);
    const size = await hypervisor.grow(hypervisorFolder(sandbox), { ...wanted, memoryMiB });
    noteMachineFacts(sandbox, { ...facts, ...size });
    await untilOnline(guest, size.vcpus, size.memoryMiB * MEBIBYTE - facts.kernelBytes);
  }

  return {
    async makeRoom(sandbox, guest, task, limits) {
      await lock.run(sandbox.key, "grow", async () => {
        const others = [...sandbox.tasks.values()]
          .filter((other) => other !== task && isThere(other))
          .map(limitsOfTask);
        await grow(sandbox, guest, larger(podSizeOf(sandbox), sum([limits, ...others])));
      });
    },

    async makeRoomForPod(sandbox, guest, pod) {
      await lock.run(sandbox.key, "grow", () => grow(sandbox, guest, pod));
    },

    requireWithin(sandbox, what, limits) {
      const facts = machineFacts(sandbox);
      if (!facts || (limits.vcpus <= facts.vcpus && limits.memoryMiB <= facts.memoryMiB)) return;
      const { fixedSize, memoryBlockMiB } = hypervisor.capabilities();
      const more = fixedSize || `it can have ${describe(largest)} at most, memory in blocks of ${memoryBlockMiB} MiB`;
      throw failedPrecondition(
        `${what}: a limit of ${describe(limits)} is beyond its virtual machine, which has ${describe(facts)}; ${more}`,
      );
    },
  };
}

/** Of a container that has been given limits, in place of those that the change does not name. */
export function changedLimits(task: Task, { cpu, memory }: OciResources): Size {
  const [before, change] = [limitsOfTask(task), limitsOf({ ...(cpu && { cpu }), ...(memory && { memory }) })];
  return {
    vcpus: cpu?.quota === undefined ? before.vcpus : change.vcpus,
    memoryMiB: memory?.limit === undefined ? before.memoryMiB : change.memoryMiB,
  };
}

export function noteLimits(task: Task, limits: Size): void {
  task.update({ engine: { ...task.record.engine, limits: { ...limits } } });
}

const limitsOfTask = ({ record }: Task): Size => (record.engine.limits as unknown as Size | undefined) ?? NO_SIZE;

const isThere = ({ record }: Task): boolean => !["stopped", "deleting", "deleted"].includes(record.state);

const describe = ({ vcpus, memoryMiB }: Size): string => `${vcpus} processors and ${memoryMiB} MiB`;

/** No less than is wanted, where the bound leaves room for another block. */
export function inBlocks(present: number, wanted: number, most: number, block: number): number {
  const blocks = Math.ceil(Math.max(0, wanted - present) / block);
  return present + Math.min(blocks, Math.floor(Math.max(0, most - present) / block)) * block;
}

async function untilOnline(guest: Guest, vcpus: number, memoryBytes: number): Promise<void> {
  for (const until = Date.now() + ONLINE_MS; ; await sleep(POLL_MS)) {
    const there = await guest.online();
    if (there.cpus >= vcpus && there.memoryBytes >= memoryBytes) return;
    if (Date.now() > until) {
      const text = `${there.cpus} processors and ${there.memoryBytes} bytes, expected ${vcpus} and ${memoryBytes}`;
      throw unavailable(`the guest has not taken into use what its machine was given: it has ${text}`);
    }
  }
}
