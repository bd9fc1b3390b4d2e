import { existsSync } from "node:fs";
import type { OciMount, OciSpec } from "../oci/spec.ts";
import { POD_FILE_DESTINATIONS, type PodFiles } from "./pod-files.ts";

const CONTAINER_TYPE = "io.kubernetes.cri.container-type";

/**
 * The container's mounts with the pod's own files in place of those that containerd names but has not made, or
 * undefined if all is well as it is. `/etc/hostname` is added for CRI's
 * containers: containerd leaves it out if its file is missing.
 */
export function repairMountSources(
  spec: OciSpec,
  files: PodFiles,
  exists: (path: string) => boolean = existsSync,
): OciMount[] | undefined {
  const mounts = spec.mounts ?? [];
  let changed = false;
  const repaired = mounts.map((mount) => {
    const destination = POD_FILE_DESTINATIONS.find((candidate) => candidate === mount.destination);
    if (destination === undefined || mount.source === undefined || !isMissingFile(mount, exists)) {
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

function isMissingFile(mount: OciMount, exists: (path: string) => boolean): boolean {
  const source = mount.source ?? "";
  return source.startsWith("/") && !exists(source);
}
