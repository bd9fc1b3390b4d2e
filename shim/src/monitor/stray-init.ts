import * as sys from "sys";
import { readTextIfThere } from "../platform/files.ts";
import { sleep } from "../platform/loop.ts";
import type { ProcessTable } from "./process-table.ts";
import { COMMAND_VARIABLE } from "./running-commands.ts";

const SIGKILL = 9;
/** `runc init`, or crun's, has such variables until it becomes its container's program (runc's libcontainer/container_linux.go). */
const MARK = "_LIBCONTAINER_";

/**
 * Ends each `runc init` whose runc was killed in mid call. It would notice by itself, though only when it has something to
 * say; until then it makes folders and mounts in a bundle that its owner removes meanwhile. As an orphan it is our child,
 * and not one that anybody has asked for. crun's is an orphan as soon as it joins a pid namespace, while its crun still is at
 * work on it (libcrun's linux.c, `must_fork`).
 */
export async function endStrayInits(table: ProcessTable): Promise<void> {
  const found = children().filter((pid) => isStray(table, pid));
  if (found.length === 0) return;
  // Another container's, whose runc has just ended well, is known as soon as that end has been dealt with.
  table.reap();
  await sleep(0);
  for (const pid of found) if (isStray(table, pid)) sys.kill(pid, SIGKILL);
}

function children(): number[] {
  const own = sys.getpid();
  const text = readTextIfThere(`/proc/${own}/task/${own}/children`) ?? "";
  return text.split(" ").map(Number).filter(Boolean);
}

function isStray(table: ProcessTable, pid: number): boolean {
  if (table.isKnown(pid)) return false;
  const environ = environOf(pid);
  if (!environ.includes(MARK)) return false;
  const command = environ.split("\0").find((variable) => variable.startsWith(COMMAND_VARIABLE));
  return command === undefined || !table.running.isUnderWay(command);
}

/** Empty for one that has gone; of a process that is just ending the file is there and cannot be read. */
function environOf(pid: number): string {
  try {
    return readTextIfThere(`/proc/${pid}/environ`) ?? "";
  } catch (error) {
    if ((error as sys.SysError).code === "ESRCH") return "";
    throw error;
  }
}
