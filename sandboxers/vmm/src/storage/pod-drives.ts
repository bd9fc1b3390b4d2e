import { errorText, failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { JsonObject } from "@kuasar/framework/store/json";
import type { Task } from "@kuasar/framework/task/task";
import type { DriveMount, GuestDrive } from "../guest/guest.ts";
import type { Drive, Hypervisor } from "../hypervisor/hypervisor.ts";
import type { Machines } from "../machine/machine.ts";
import { hypervisorFolder, machineFolder } from "../machine/machine-folder.ts";
import { passIn, takeBack } from "../machine/machine-root.ts";

/** The drives that a pod's containers have in its machine, while that runs. */
export interface PodDrives {
  /** Gives the machine a drive for a container, and has it mounted there. FAILED_PRECONDITION if all slots are taken. */
  attach(sandbox: Sandbox, task: Task, drive: Drive, mount?: DriveMount): Promise<GuestDrive>;
  /** Takes away what a container has, in the guest and then, whether that lets it go or not, on the host. Harmless if it has none. */
  detachAll(sandbox: Sandbox, task: Task): Promise<void>;
}

/** Recorded before there is a drive in the slot; the address, when there is. */
interface TakenSlot {
  readonly slot: number;
  readonly address: string;
}

export function createPodDrives(hypervisor: Hypervisor, machines: Machines, log: Logger): PodDrives {
  return {
    async attach(sandbox, task, drive, mount) {
      const slot = takeSlot(sandbox, task, hypervisor.capabilities().drives);
      const path = await passIn(sandbox.monitor, machineFolder(sandbox), String(slot), drive);
      const address = await hypervisor.attachDrive(hypervisorFolder(sandbox), slot, { ...drive, path });
      record(task, [...slotsOf(task).filter((taken) => taken.slot !== slot), { slot, address }]);
      return await machines.of(sandbox).guest.openDrive(address, mount);
    },

    async detachAll(sandbox, task) {
      const slots = slotsOf(task);
      if (slots.length === 0 || machines.isOver(sandbox)) return;
      const addresses = slots.map(({ address }) => address).filter((address) => address !== "");
      try {
        const { guest } = machines.of(sandbox);
        for (const address of addresses) await guest.closeDrive(address);
      } catch (error) {
        log.warn({ sandbox: sandbox.id, task: task.id, err: errorText(error) }, "a machine does not let go of drives");
      }
      for (const { slot } of slots) {
        await hypervisor.detachDrive(hypervisorFolder(sandbox), slot);
        await takeBack(sandbox.monitor, machineFolder(sandbox), String(slot));
      }
      task.note({ engine: { ...task.record.engine, drives: [] } });
    },
  };
}

function takeSlot(sandbox: Sandbox, task: Task, most: number): number {
  const taken = new Set([...sandbox.tasks.values()].flatMap(slotsOf).map(({ slot }) => slot));
  for (let slot = 0; slot < most; slot++) {
    if (taken.has(slot)) continue;
    record(task, [...slotsOf(task), { slot, address: "" }]);
    return slot;
  }
  throw failedPrecondition(`task ${task.id} needs a drive, and the pod's machine has no room: it can have ${most}`);
}

function slotsOf({ record: { engine } }: Task): TakenSlot[] {
  return (engine.drives ?? []) as unknown as TakenSlot[];
}

function record(task: Task, slots: readonly TakenSlot[]): void {
  task.update({ engine: { ...task.record.engine, drives: slots as unknown as JsonObject[] } });
}
