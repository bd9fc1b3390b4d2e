import { readTextIfThere } from "@kuasar/shim/platform/files";
import { loadModule, removePath } from "guest";

/**
 * Loads what a list of the initial ramdisk names: a line a module, its path and its parameters. What has been loaded does
 * not stay in the ramdisk, which is memory.
 */
export function loadModules(list: string): void {
  for (const line of (readTextIfThere(list) ?? "").split("\n")) {
    const [path, ...parameters] = line.split(" ");
    if (!path) continue;
    loadModule(path, parameters.join(" "));
    removePath(path);
  }
}
