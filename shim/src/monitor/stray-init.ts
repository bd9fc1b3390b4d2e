import * as sys from "sys";
import { readTextIfThere } from "../platform/files.ts";
import type { ProcessTable } from "./process-table.ts";

const SIGKILL = 9;
/** `runc init` has such variables until it becomes its container's program (runc's libcontainer/container_linux.go). */
const MARK = "_LIBCONTAINER_";

/**
 * Ends each `runc init` whose runc was killed in mid call. It would notice by itself, though only when it has something to
 * say; until then it makes folders and mounts in a bundle that its owner removes meanwhile. As an orphan it is our child,
 * and not one that anybody has asked for.
 */
export function endStrayInits(table: ProcessTable): void {
  const own = sys.getpid();
  const children = readTextIfThere(`/proc/${own}/task/${own}/children`) ?? "";
  for (const child of children.split(" ").map(Number)) {
    if (child > 0 && !table.isKnown(child) && isInit(child)) sys.kill(child, SIGKILL);
  }
}

function isInit(pid: number): boolean {
  return (readTextIfThere(`/proc/${pid}/environ`) ?? "").includes(MARK);
}
