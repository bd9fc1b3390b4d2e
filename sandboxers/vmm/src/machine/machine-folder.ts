import { createHash } from "node:crypto";
import { rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errno } from "@kuasar/framework/error/sandbox-error";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import { forgetVirtiofsd } from "../share/virtiofsd.ts";
import { closeDoor } from "./machine-root.ts";

// A name with a leading dot is no namespace.
const FOLDER = ".machines";

/** For a machine's sockets and logs. Its path is short, whatever the sandbox is called: a socket's has 108 bytes. */
export function machineFolder({ key, directory }: Sandbox): string {
  const name = createHash("sha256").update(key).digest("hex").slice(0, 16);
  return join(dirname(dirname(directory)), FOLDER, name);
}

/** The hypervisor's own, in that. What it may put there is looked at as it is: a link leads nowhere (dialUnlinked). */
export const hypervisorFolder = (sandbox: Sandbox) => join(machineFolder(sandbox), "vm");

/** Where the file server of the machine listens. */
export const shareSocket = (folder: string) => join(folder, "share.sock");

export async function removeMachineFolder(sandbox: Sandbox): Promise<void> {
  const folder = machineFolder(sandbox);
  forgetVirtiofsd(shareSocket(folder));
  await closeDoor(sandbox.monitor, folder);
  await rm(folder, { recursive: true, force: true });
  try {
    await rmdir(dirname(folder));
  } catch (error) {
    // Other machines are in it, or another has just been the last.
    if (!["ENOTEMPTY", "ENOENT"].includes(errno(error) ?? "")) throw error;
  }
}
