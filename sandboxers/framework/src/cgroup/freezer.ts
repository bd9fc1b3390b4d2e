import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupPaths, controllerFolder } from "./cgroup-paths.ts";
import { hierarchies } from "./hierarchies.ts";

/** Lets the processes of a frozen cgroup go on. A cgroup that is gone is no error. */
export function thaw(paths: CgroupPaths): void {
  const folder = controllerFolder(paths, "freezer");
  if (folder === undefined) {
    return;
  }
  const [file, value] = hierarchies().mode === "unified" ? ["cgroup.freeze", "0"] : ["freezer.state", "THAWED"];
  try {
    writeFileSync(join(folder, file), value, { flag: "r+" });
  } catch {
    // Gone, and with it whatever was frozen.
  }
}
