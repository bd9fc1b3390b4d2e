import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errno, errorText, failedPrecondition } from "../error/sandbox-error.ts";
import type { OciResources } from "../oci/spec.ts";
import { cgroupFolder, type Hierarchies, type Hierarchy, workingHierarchies } from "./hierarchies.ts";
import { tryRemoveFolder } from "./remove-cgroup.ts";
import { resourceFiles } from "./resource-files.ts";

/**
 * Makes the cgroup `path` in every working hierarchy, sets its limits, and answers with the `cgroup.procs` files that
 * a process must be written to. FAILED_PRECONDITION if the host refuses; what was made until then is removed.
 */
export function createPodCgroup(all: Hierarchies, path: string, resources: OciResources | undefined): string[] {
  const made: string[] = [];
  try {
    for (const hierarchy of workingHierarchies(all)) {
      const folder = cgroupFolder(hierarchy, path);
      makeFolder(hierarchy, folder);
      made.push(folder);
      writeLimits(folder, resourceFiles(hierarchy, resources));
    }
  } catch (error) {
    for (const folder of made) {
      tryRemoveFolder(folder);
    }
    throw failedPrecondition(`cgroup ${path} cannot be made: ${errorText(error)}`);
  }
  return cgroupProcs(all, path);
}

/** The `cgroup.procs` files that a process of the cgroup `path` must be written to. */
export function cgroupProcs(all: Hierarchies, path: string): string[] {
  return workingHierarchies(all).map((hierarchy) => join(cgroupFolder(hierarchy, path), "cgroup.procs"));
}

/** Changes the limits that are named; all others stay. FAILED_PRECONDITION if the host refuses. */
export function limitCgroup(all: Hierarchies, path: string, resources: OciResources): void {
  for (const hierarchy of workingHierarchies(all)) {
    const folder = cgroupFolder(hierarchy, path);
    try {
      writeLimits(folder, resourceFiles(hierarchy, resources));
    } catch (error) {
      throw failedPrecondition(`cgroup ${path}: ${errorText(error)}`);
    }
  }
}

function makeFolder(hierarchy: Hierarchy, folder: string): void {
  const parent = dirname(folder);
  try {
    mkdirSync(folder);
  } catch (error) {
    if (errno(error) === "EEXIST") {
      return;
    }
    if (errno(error) !== "ENOENT" || parent.length <= hierarchy.mountpoint.length) {
      throw error;
    }
    makeFolder(hierarchy, parent);
    makeFolder(hierarchy, folder);
    return;
  }
  if (hierarchy.controllers.length === 0) {
    enableControllers(parent);
  }
  if (hierarchy.controllers.includes("cpuset")) {
    inheritCpuset(parent, folder);
  }
}

// A v2 cgroup has only the controllers that its parent hands down.
function enableControllers(parent: string): void {
  let available: string;
  try {
    available = readFileSync(join(parent, "cgroup.controllers"), "utf8");
  } catch {
    return;
  }
  for (const controller of available.trim().split(" ").filter(Boolean)) {
    try {
      writeFileSync(join(parent, "cgroup.subtree_control"), `+${controller}`, { flag: "r+" });
    } catch {
      // Refused where the parent has processes of its own; the pod then runs without that controller.
    }
  }
}

// A v1 cpuset starts empty, and an empty one takes no process.
function inheritCpuset(parent: string, folder: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    writeFileSync(join(folder, file), readFileSync(join(parent, file)), { flag: "r+" });
  }
}

/** Some hold only beside others (a limit of memory, one of memory and swap): what is refused is tried again after these. */
function writeLimits(folder: string, files: readonly [file: string, value: string][]): void {
  const refused = files.filter(([file, value]) => {
    try {
      writeLimit(join(folder, file), value);
      return false;
    } catch {
      return true;
    }
  });
  for (const [file, value] of refused) {
    try {
      writeLimit(join(folder, file), value);
    } catch (error) {
      throw new Error(`${file} cannot be ${value}: ${errorText(error)}`);
    }
  }
}

function writeLimit(file: string, value: string): void {
  try {
    writeFileSync(file, value, { flag: "r+" });
  } catch (error) {
    // The controller is not enabled here: as with every OCI runtime, the limit is then not there.
    if (errno(error) !== "ENOENT") {
      throw error;
    }
  }
}
