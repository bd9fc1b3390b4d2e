import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { VMM_CONFIG_DEFAULTS } from "@kuasar/vmm-sandboxer/config";
import { guestImageIn, installedGuestFolder } from "@kuasar/vmm-sandboxer/machine/guest-image";
import { VIRTIOFSD_PLACES } from "@kuasar/vmm-sandboxer/share/virtiofsd";
import { findProgram } from "../parts/system-packages.mjs";
import { programPath } from "./programs.ts";

/** A program that pods in virtual machines need. */
export interface MachineNeed {
  readonly program: string;
  /** Debian's package that brings it. */
  readonly package: string;
  /** Where it is; undefined if it is not there. */
  readonly path: string | undefined;
}

const { qemu_path: qemu } = VMM_CONFIG_DEFAULTS.hypervisor;

export const hypervisorNeed = (): MachineNeed => ({
  program: qemu,
  package: process.arch === "arm64" ? "qemu-system-arm" : "qemu-system-x86",
  path: findProgram(qemu),
});

export const fileServerNeed = (): MachineNeed => ({
  program: "virtiofsd",
  // Debian 12's QEMU brings one.
  package: "virtiofsd",
  path: VIRTIOFSD_PLACES.map((place) => (place.startsWith("/") ? place : findProgram(place))).find(
    (path) => path !== undefined && existsSync(path),
  ),
});

/** By which the pod's network becomes the machine's. */
export const networkNeeds = (): MachineNeed[] =>
  [
    ["ip", "iproute2"],
    ["tc", "iproute2"],
    ["nsenter", "util-linux"],
  ].map(([program = "", name = ""]) => ({ program, package: name, path: findProgram(program) }));

export const describeNeed = ({ program, package: name }: MachineNeed) => `${program} (package ${name})`;

/** What of all that is not there. */
export function missingForMachines(): string[] {
  const needs = [hypervisorNeed(), fileServerNeed(), ...networkNeeds()];
  return needs.filter(({ path }) => path === undefined).map(describeNeed);
}

/** Where this installation's machines find what they boot; `present` if it is there. */
export function guestImagePlace(): { readonly folder: string; readonly present: boolean } {
  const { kernel_path, initrd_path } = VMM_CONFIG_DEFAULTS.hypervisor;
  const folder = installedGuestFolder(programPath("vmm-sandboxer")) ?? dirname(kernel_path);
  const image = folder === dirname(kernel_path) ? { kernel_path, initrd_path } : guestImageIn(folder);
  return { folder, present: Object.values(image).every((path) => existsSync(path)) };
}
