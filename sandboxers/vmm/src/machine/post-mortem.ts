import { join } from "node:path";
import { lastLines, printableLines, tail } from "./last-lines.ts";
import type { MachineEnd } from "./machine-end.ts";

/** What a machine's processes and its guest say, in its folder: for the post-mortem. */
export const consoleLog = (directory: string) => join(directory, "console.log");
export const hypervisorLog = (directory: string) => join(directory, "hypervisor.log");
export const virtiofsdLog = (directory: string) => join(directory, "virtiofsd.log");

/** Of each, whatever the guest writes to its console. */
export const KEPT_BYTES = 256 * 1024;

/** Linux's word for the end of all, on the console. */
const PANIC = /Kernel panic - not syncing: (.*)/;

/** Why a machine has ended, in words, with what was last heard of it. */
export async function postMortem(end: MachineEnd, directory: string): Promise<string> {
  const said = await lastWords(directory);
  // The stack comes after it.
  const panic = printableLines(await tail(consoleLog(directory))).find((line) => PANIC.test(line));
  let why = end.cause;
  if (panic !== undefined) why += `; by its console the guest's kernel has panicked: ${PANIC.exec(panic)?.[1]}`;
  // A guest that restarts ends its machine as well.
  else if (end.exit.status === 0) why += "; the guest has powered off, or restarted";
  return why + said;
}

/** "" or what follows an error's text. */
export async function lastWords(directory: string): Promise<string> {
  const lines = await lastLines([virtiofsdLog(directory), hypervisorLog(directory), consoleLog(directory)]);
  return lines === "" ? "" : `; last heard:\n${lines}`;
}
