import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { failedPrecondition } from "../error/sandbox-error.ts";
import { type CgroupPaths, controllerFolder } from "./cgroup-paths.ts";
import { hierarchies } from "./hierarchies.ts";

const FREEZE_ROUNDS = 500;
const ROUND_MS = 10;

/** Stops the processes of a cgroup, and answers when they have stopped. FAILED_PRECONDITION where that cannot be. */
export async function freeze(paths: CgroupPaths): Promise<void> {
  const folder = controllerFolder(paths, "freezer");
  if (folder === undefined) {
    throw failedPrecondition(`cgroup ${paths.common} cannot be frozen: the host has no freezer`);
  }
  const v2 = hierarchies().mode === "unified";
  const [file, value] = v2 ? ["cgroup.freeze", "1"] : ["freezer.state", "FROZEN"];
  const isFrozen = () =>
    v2
      ? /^frozen 1$/m.test(readFileSync(join(folder, "cgroup.events"), "utf8"))
      : readFileSync(join(folder, file), "utf8").trim() === "FROZEN";
  for (let round = 0; round < FREEZE_ROUNDS; round++) {
    // Written again, since a process that was just being made may have escaped a cgroup v1 freezer.
    writeFileSync(join(folder, file), value, { flag: "r+" });
    if (isFrozen()) {
      return;
    }
    await sleep(ROUND_MS);
  }
  thaw(paths);
  throw failedPrecondition(`cgroup ${paths.common}: its processes do not stop`);
}

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
