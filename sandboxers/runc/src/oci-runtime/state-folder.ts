import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { removeCgroup } from "@kuasar/framework/cgroup/remove-cgroup";
import type { Container } from "./oci-runtime.ts";

const STATE_FILE = "state.json";

/**
 * Deletes a container that has ended and needs no more than this, as `runc delete` does: its cgroups, then runc's
 * folder for it. False if it is not that simple; what has been removed until then is no loss to runc itself.
 * Contract: runc's `libcontainer/state_linux.go`, destroy.
 */
export async function removeStateFolder({ root, id, plainCgroup }: Container): Promise<boolean> {
  const folder = join(root, id);
  if (plainCgroup === undefined || !existsSync(join(folder, STATE_FILE))) {
    return false;
  }
  if ((await removeCgroup(hierarchies(), plainCgroup)).length > 0) {
    return false;
  }
  rmSync(folder, { recursive: true, force: true });
  return true;
}

/**
 * Removes what a runtime that was killed in mid call has left of a container of which nothing runs. runc mounts its own
 * program there for a moment, and takes a folder without state for none at all (libcontainer/nsenter/cloned_binary.c).
 */
export async function clearStateFolder({ root, id, monitor }: Container): Promise<void> {
  const folder = join(root, id);
  if (!existsSync(folder)) {
    return;
  }
  for (const name of readdirSync(folder)) {
    await monitor.unmount(join(folder, name));
  }
  rmSync(folder, { recursive: true, force: true });
}
