import { isMissing, readText, writeKernelFile } from "@kuasar/shim/platform/files";
import { loadModule } from "guest";

/** Of the host, by the share (share-folder.ts): memory of the guest is taken only by what is loaded. */
const MODULES = "/run/kuasar/share/.modules";
/** The kernel's root is its first process's, also when that has changed it (rest_init in init/main.c: CLONE_FS). */
const PROGRAM = "/sbin/vmm-task";

/** Has the kernel ask this program for what a container needs: a bridge, a packet filter, a file system. */
export function answerModuleRequests(): void {
  writeKernelFile("/proc/sys/kernel/modprobe", PROGRAM);
}

/** The name in the kernel's command line, `PROGRAM -q -- NAME` (kernel/kmod.c, call_modprobe). */
export function requestedModule([, quiet, dashes, name]: readonly string[]): string | undefined {
  return quiet === "-q" && dashes === "--" ? name : undefined;
}

/** Loads what brings that, if something does. A failed load throws. */
export function loadRequested(name: string): void {
  for (const module of modulesOf(name)) loadModule(`${MODULES}/${module}.ko`, "");
}

function modulesOf(name: string): string[] {
  // The kernel takes - and _ in a module's name for the same.
  const start = `${name.replaceAll("-", "_")} `;
  let table: string;
  try {
    table = readText(`${MODULES}/requests`);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  const line = table.split("\n").find((one) => one.startsWith(start));
  return line?.slice(start.length).split(" ") ?? [];
}
