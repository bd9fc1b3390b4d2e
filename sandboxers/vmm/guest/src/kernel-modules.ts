import { readTextIfThere } from "@kuasar/shim/platform/files";
import { loadModule } from "guest";

/** Loads what a list of the initial ramdisk names: a line a module, its path and its parameters. */
export function loadModules(list: string): void {
  for (const line of (readTextIfThere(list) ?? "").split("\n")) {
    const [path, ...parameters] = line.split(" ");
    if (path) loadModule(path, parameters.join(" "));
  }
}
