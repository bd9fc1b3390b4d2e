import type { OciDeviceRule, OciSpec } from "@kuasar/framework/oci/spec";
import { blockDeviceNumber, type DeviceNumber } from "./block-device.ts";

/** Block devices of the host that a container's spec asks for by name. */
export interface PassedDevices {
  /** Whether the container may write to it. */
  readonly writable: ReadonlyMap<DeviceNumber, boolean>;
  /** By the source of a mount: the node is bound, as any file. */
  readonly mounted: ReadonlyMap<string, DeviceNumber>;
}

/**
 * Devices in the spec's list that a rule of its own allows (a raw block volume, `--device`), and mounts of a device's
 * node. What a privileged container has of the host's devices, which is all, stays out of a virtual machine: no rule is
 * about one of them.
 * @param numberOf of the node at a path on the host
 */
export function passedDevices({ linux, mounts }: OciSpec, numberOf = blockDeviceNumber): PassedDevices {
  const writable = new Map<DeviceNumber, boolean>();
  const mounted = new Map<string, DeviceNumber>();
  const pass = (number: DeviceNumber, write: boolean) => writable.set(number, write || writable.get(number) === true);
  for (const { type, major, minor } of linux?.devices ?? []) {
    const number = `${major}:${minor}`;
    const rule = linux?.resources?.devices?.find((one) => allowsJust(one, number));
    if (type === "b" && rule) pass(number, rule.access?.includes("w") !== false);
  }
  for (const { source = "", options = [] } of mounts ?? []) {
    const number = source.startsWith("/") ? numberOf(source) : undefined;
    if (number === undefined) continue;
    mounted.set(source, number);
    pass(number, !options.includes("ro"));
  }
  return { writable, mounted };
}

/** Whether it is about this one block device. */
function allowsJust({ allow, type, major, minor }: OciDeviceRule, number: DeviceNumber): boolean {
  return allow && type === "b" && `${major}:${minor}` === number;
}
