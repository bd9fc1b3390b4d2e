import { readdirSync, rmdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { OciMount, OciSpec } from "../oci/spec.ts";
import { POD_FILE_DESTINATIONS, type PodFileDestination, type PodFiles } from "./pod-files.ts";

const CONTAINER_TYPE = "io.kubernetes.cri.container-type";

/** What a mount's source is on the host. */
export type SourceKind = "missing" | "file" | "folder" | "empty folder";

/**
 * The container's mounts with the pod's own files in place of those that containerd names but has not made, or
 * undefined if all is well as it is. `/etc/hostname` is added for CRI's
 * containers: containerd leaves it out if its file is missing.
 */
export function repairMountSources(
  spec: OciSpec,
  files: PodFiles,
  kindOf: (path: string) => SourceKind = sourceKind,
): OciMount[] | undefined {
  const mounts = spec.mounts ?? [];
  let changed = false;
  const repaired = mounts.map((mount) => {
    const destination = POD_FILE_DESTINATIONS.find((candidate) => candidate === mount.destination);
    if (destination === undefined || !isStandIn(mount, destination, kindOf)) {
      return mount;
    }
    changed = true;
    return { ...mount, source: files[destination] };
  });
  const fromCri = spec.annotations?.[CONTAINER_TYPE] === "container";
  if (fromCri && !mounts.some(({ destination }) => destination === "/etc/hostname")) {
    changed = true;
    const access = spec.root?.readonly ? "ro" : "rw";
    repaired.push({
      destination: "/etc/hostname",
      type: "bind",
      source: files["/etc/hostname"],
      options: ["rbind", "rprivate", access],
    });
  }
  return changed ? repaired : undefined;
}

/**
 * containerd makes an empty folder of every mount source that is not there (pkg/cri/opts), and with
 * `sandbox_mode = "shim"` that is what it has in place of a pod's files.
 */
function isStandIn(
  { source = "" }: OciMount,
  destination: PodFileDestination,
  kindOf: (path: string) => SourceKind,
): boolean {
  if (!source.startsWith("/")) {
    return false;
  }
  const kind = kindOf(source);
  if (kind === "missing" || kind === "empty folder") {
    return destination !== "/dev/shm" || kind === "missing" || source.endsWith("/shm");
  }
  return false;
}

function sourceKind(path: string): SourceKind {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    return "missing";
  }
  if (!found.isDirectory()) {
    return "file";
  }
  return readdirSync(path).length === 0 ? "empty folder" : "folder";
}

/**
 * The empty folders that {@link repairMountSources} replaced: only those in a folder that is named for the sandbox. They
 * stay while the sandbox does, since containerd looks at them whenever it makes a container.
 */
export function standInsOf(before: readonly OciMount[], after: readonly OciMount[], sandboxId: string): string[] {
  const kept = new Set(after.map(({ source }) => source));
  return before
    .map(({ source = "" }) => source)
    .filter((source) => !kept.has(source) && dirname(source).endsWith(`/sandboxes/${sandboxId}`));
}

/** Removes them and the folder of the pod that they are in, as nobody else ever does. Only what is empty goes. */
export function removeStandIns(folders: readonly string[]): void {
  for (const folder of folders) {
    removeIfEmpty(folder);
  }
  for (const parent of new Set(folders.map((folder) => dirname(folder)))) {
    removeIfEmpty(parent);
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTEMPTY" && code !== "EBUSY") {
      throw error;
    }
  }
}
