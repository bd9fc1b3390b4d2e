import { parseMountOptions } from "@kuasar/shim/monitor/mount-options";
import { makeFolders, readText, writeKernelFile } from "@kuasar/shim/platform/files";
import { sleep } from "@kuasar/shim/platform/loop";
import { namesIn } from "guest";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { requireAbsolute } from "./guest-files.ts";
import { loadModules } from "./kernel-modules.ts";

/** Disks that come and go while the machine runs: units (LUNs) of its one SCSI controller. */

export interface OpenDrive {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

interface DriveMount {
  /** "" for none. */
  readonly type: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** Their drivers take a while to load, and not every pod has drives. */
const MODULES = "/lib/modules/drives";
const HOST = "/sys/class/scsi_host/host0";
const APPEAR_MS = 5_000;
const POLL_MS = 5;

let loaded = false;
/** By address: where a drive's file system is mounted. */
const mounted = new Map<string, string>();

export async function openDrive(address: string, { type, target, options }: DriveMount): Promise<OpenDrive> {
  const unit = unitOf(address);
  if (type !== "") requireAbsolute(target);
  if (!loaded) loadModules(MODULES);
  loaded = true;
  if (!sys.stat(HOST))
    throw new StatusError(Code.FAILED_PRECONDITION, "the machine has no controller for drives, or no driver for it");
  // Nothing else looks for drives: so it is here, and now, that one is found.
  if (!sys.stat(folderOf(unit))) writeKernelFile(`${HOST}/scan`, `0 0 ${unit}`);
  const drive = await appeared(address, unit);
  if (type !== "" && mounted.get(address) !== target) {
    makeFolders(target, 0o755);
    const { flags, data } = parseMountOptions(options);
    try {
      sys.mount(drive.path, target, type, flags, data.join(","));
    } catch (error) {
      const what = `mount ${type} of drive ${address} on ${target} (${options.join(",")})`;
      throw new StatusError(Code.FAILED_PRECONDITION, `${what}: ${(error as Error).message}`);
    }
    mounted.set(address, target);
  }
  return drive;
}

export function closeDrive(address: string): void {
  mounted.delete(address);
  const folder = folderOf(unitOf(address));
  if (sys.stat(folder)) writeKernelFile(`${folder}/delete`, "1");
}

/** Its disk is made by a thread of the kernel's. */
async function appeared(address: string, unit: number): Promise<OpenDrive> {
  for (let waited = 0; ; waited += POLL_MS) {
    const [name] = namesIn(`${folderOf(unit)}/block`) ?? [];
    const path = `/dev/${name}`;
    if (name !== undefined && canBeOpened(path)) {
      const [major, minor] = readText(`/sys/class/block/${name}/dev`).trim().split(":").map(Number);
      return { path, major: major ?? 0, minor: minor ?? 0 };
    }
    if (waited >= APPEAR_MS) throw new StatusError(Code.FAILED_PRECONDITION, `there is no drive ${address}`);
    await sleep(POLL_MS);
  }
}

/** There is a node before there is a disk. */
function canBeOpened(path: string): boolean {
  try {
    sys.close(sys.open(path, sys.O_RDONLY | sys.O_NONBLOCK, 0));
    return true;
  } catch (error) {
    const { code } = error as sys.SysError;
    if (code === "ENOENT" || code === "ENXIO") return false;
    throw error;
  }
}

const folderOf = (unit: number) => `/sys/class/scsi_device/0:0:0:${unit}/device`;

function unitOf(address: string): number {
  const unit = /^scsi:(\d{1,3})$/.exec(address)?.[1];
  if (unit === undefined) throw new StatusError(Code.INVALID_ARGUMENT, `address: expected scsi:LUN, got ${address}`);
  return Number(unit);
}
