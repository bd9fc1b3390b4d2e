import { readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errno } from "../error/sandbox-error.ts";
import type { CgroupPaths } from "./cgroup-paths.ts";
import { cgroupFolder, type Hierarchies, type Hierarchy } from "./hierarchies.ts";

const ATTEMPTS = 50;
const PAUSE_MAX_MS = 20;

/**
 * Removes a cgroup in every hierarchy (runc makes one in the v2 hierarchy of a hybrid host, too), once its last process
 * has gone. Answers with the folders that would not go.
 */
export async function removeCgroup(all: Hierarchies, paths: CgroupPaths): Promise<string[]> {
  const hierarchies = all.v2 === undefined ? all.v1 : [...all.v1, all.v2];
  let left = hierarchies.map((hierarchy) => cgroupFolder(hierarchy, pathIn(hierarchy, paths)));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    left = left.filter((folder) => !tryRemoveFolder(folder));
    if (left.length === 0) {
      break;
    }
    await sleep(Math.min(1 + attempt, PAUSE_MAX_MS));
  }
  return left;
}

function pathIn({ controllers }: Hierarchy, { common, other }: CgroupPaths): string {
  const own = controllers.find((controller) => other?.[controller] !== undefined);
  return (own && other?.[own]) ?? common;
}

/** False if something is still in it; what is empty below it goes with it. */
export function tryRemoveFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (errno(error) === "ENOENT") {
      return true;
    }
    if (errno(error) === "EBUSY" || errno(error) === "ENOTEMPTY") {
      for (const child of children(folder)) {
        tryRemoveFolder(child);
      }
    }
    return false;
  }
}

function children(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}
