import { join } from "node:path";
import { lastLines, printableLines, tail } from "./last-lines.ts";
import type { MachineEnd } from "./machine-end.ts";

/** What a machine's processes and its guest say, in its folder: for the post-mortem. */
export const hypervisorLog = (directory: string) => join(directory, "hypervisor.log");
export const virtiofsdLog = (directory: string) => join(directory, "virtiofsd.log");

/** Linux's word for the end of all, on the console. */
const PANIC = /Kernel panic - not syncing: (.*)/;

/** Why a machine has ended, in words, with what was last heard of it. */
export async function postMortem(end: MachineEnd, directory: string, console: string): Promise<string> {
  const said = await lastWords(directory, console);
  // The stack comes after it.
  const panic = printableLines(await tail(console)).find((line) => PANIC.test(line));
  let why = end.cause;
  if (panic !== undefined) why += `; by its console the guest's kernel has panicked: ${PANIC.exec(panic)?.[1]}`;
  // A guest that restarts ends its machine as well.
  else if (end.exit.status === 0) why += "; the guest has powered off, or restarted";
  return why + said;
}

/** "" or what follows an error's text. */
export async function lastWords(directory: string, console: string): Promise<string> {
  const lines = await lastLines([virtiofsdLog(directory), hypervisorLog(directory), console]);
  return lines === "" ? "" : `; last heard:\n${lines}`;
}
