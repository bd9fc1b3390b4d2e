import { readFileSync, statSync } from "node:fs";
import { posix } from "node:path";
import { failedPrecondition, invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { OciDevice, OciSpec } from "@kuasar/framework/oci/spec";

/** A device of the spec, and the host's file of it. */
export interface DeviceFile {
  readonly path: string;
  readonly source: string;
}

const S_IFMT = 0o170000;
const TYPES: Readonly<Record<string, number>> = { c: 0o020000, u: 0o020000, b: 0o060000 };

/**
 * The host's files of the devices that a spec names. A spec has their numbers only: the file is that of the same name, or
 * the one that the kernel calls so. FAILED_PRECONDITION where there is none, INVALID_ARGUMENT outside of /dev.
 */
export function deviceFiles({ linux }: OciSpec): DeviceFile[] {
  return (linux?.devices ?? []).map((device) => {
    const path = posix.resolve("/", device.path);
    if (!path.startsWith("/dev/")) {
      throw invalidArgument(`device ${quote(device.path)}: expected a path below /dev`);
    }
    const source = [path, `/dev/${kernelName(device)}`].find((file) => isDevice(file, device));
    if (source === undefined) {
      const { type, major, minor } = device;
      throw failedPrecondition(`device ${quote(device.path)}: the host has no file of ${type} ${major}:${minor}`);
    }
    return { path, source };
  });
}

/** `null` for c 1:3; "" if the kernel has no such device. */
function kernelName({ type, major, minor }: OciDevice): string {
  try {
    const text = readFileSync(`/sys/dev/${type === "b" ? "block" : "char"}/${major}:${minor}/uevent`, "utf8");
    return /^DEVNAME=(.*)$/m.exec(text)?.[1] ?? "";
  } catch {
    return "";
  }
}

function isDevice(file: string, { type, major = 0, minor = 0 }: OciDevice): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && (stat.mode & S_IFMT) === TYPES[type] && stat.rdev === deviceNumber(major, minor);
}

/** As glibc's makedev. */
function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + (minor >>> 8) * 2 ** 20;
}
