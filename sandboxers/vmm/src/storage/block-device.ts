import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { errno, failedPrecondition } from "@kuasar/framework/error/sandbox-error";

/** A block device's number, as /sys/dev/block names it: "8:16". */
export type DeviceNumber = string;

/** Of the device that the file is the node of; undefined for any other file, or none. Follows symbolic links. */
export function blockDeviceNumber(path: string): DeviceNumber | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat?.isBlockDevice() ? deviceNumber(stat) : undefined;
}

/** glibc's gnu_dev_major and gnu_dev_minor. */
function deviceNumber({ rdev }: BigIntStats): DeviceNumber {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/** The host's node of a device. FAILED_PRECONDITION if the host has no such device, or no node of it. */
export function blockDeviceNode(number: DeviceNumber): string {
  const name = /^DEVNAME=(.+)$/m.exec(kernelFile(number, "uevent"))?.[1];
  const path = `/dev/${name}`;
  if (name === undefined || blockDeviceNumber(path) !== number) {
    throw failedPrecondition(`block device ${number}: expected its node at ${path} on the host`);
  }
  return path;
}

/** The kernel refuses whoever writes to it. */
export function isReadOnlyDevice(number: DeviceNumber): boolean {
  return kernelFile(number, "ro").trim() === "1";
}

function kernelFile(number: DeviceNumber, name: string): string {
  try {
    return readFileSync(`/sys/dev/block/${number}/${name}`, "utf8");
  } catch (error) {
    if (errno(error) !== "ENOENT") throw error;
    throw failedPrecondition(`block device ${number}: the host has none`);
  }
}
