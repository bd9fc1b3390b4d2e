import { statSync } from "node:fs";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import type { Drive } from "../hypervisor.ts";
import { openQmp, type Qmp, QmpError } from "./qmp.ts";

/**
 * Drives are units of one SCSI controller: they come and go without PCI hotplug, which a microvm does not have, and which
 * takes a guest seconds elsewhere. The guest looks for a unit when it is told to (drives.ts of vmm-task), so the
 * controller tells it nothing.
 */
export const DRIVE_CONTROLLER = ["-device", "virtio-scsi-pci,id=drives,num_queues=1,hotplug=off"];

/** Units of one target (SAM: LUNs); the guest's address of each is checked to have three digits at most. */
export const MOST_DRIVES = 255;

const driveAddress = (slot: number) => `scsi:${slot}`;
const deviceId = (slot: number) => `drive${slot}`;
const nodeName = (slot: number) => `file${slot}`;

/** https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html, blockdev-add */
export async function attachDrive(socket: string, slot: number, drive: Drive): Promise<string> {
  const { path, readOnly, durable } = drive;
  await openQmp(socket, async (qmp) => {
    try {
      await qmp.run("blockdev-add", {
        driver: "raw",
        "node-name": nodeName(slot),
        "read-only": readOnly,
        discard: "unmap",
        cache: { direct: false, "no-flush": !durable },
        file: { driver: statSync(path).isBlockDevice() ? "host_device" : "file", filename: path },
      });
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      throw failedPrecondition(`drive ${path} cannot be given to the machine: ${error.description}`);
    }
    try {
      const place = { bus: "drives.0", channel: 0, "scsi-id": 0, lun: slot };
      await qmp.run("device_add", { driver: "scsi-hd", id: deviceId(slot), drive: nodeName(slot), ...place });
    } catch (error) {
      await qmp.run("blockdev-del", { "node-name": nodeName(slot) });
      throw error;
    }
  });
  return driveAddress(slot);
}

export async function detachDrive(socket: string, slot: number): Promise<void> {
  await openQmp(socket, async (qmp) => {
    const gone = qmp.event("DEVICE_DELETED", ({ device }) => device === deviceId(slot));
    // The device is in use until that event comes, which says that the file is not.
    if (await unlessMissing(qmp, "device_del", { id: deviceId(slot) })) await gone;
    await unlessMissing(qmp, "blockdev-del", { "node-name": nodeName(slot) });
  });
}

/** Answers whether there was something. */
async function unlessMissing(qmp: Qmp, command: string, args: Record<string, string>): Promise<boolean> {
  try {
    await qmp.run(command, args);
    return true;
  } catch (error) {
    // DeviceNotFound, and for nodes a GenericError with these words.
    if (error instanceof QmpError && /not found|Failed to find node/.test(error.description)) return false;
    throw error;
  }
}
