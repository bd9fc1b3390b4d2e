import type { io } from "@kuasar/proto/metrics";
import { notFound } from "../error/sandbox-error.ts";
import { type CgroupPaths, membersFolder } from "./cgroup-paths.ts";
import { hierarchies } from "./hierarchies.ts";
import { folderReader } from "./stat-files.ts";

/** A cgroup's metrics, in the form of the host's cgroup version. */
export type CgroupMetrics =
  | { readonly version: 1; readonly metrics: io.containerd.cgroups.v1.IMetrics }
  | { readonly version: 2; readonly metrics: io.containerd.cgroups.v2.IMetrics };

/** Throws NOT_FOUND if the cgroup is gone. */
export async function readCgroupMetrics(paths: CgroupPaths): Promise<CgroupMetrics> {
  const folder = membersFolder(paths);
  if (folder === undefined || folderReader(folder)("cgroup.procs") === undefined) {
    throw notFound(`cgroup does not exist: ${paths.common}`);
  }
  // Loaded when first asked for: most sandboxers are never asked.
  if (hierarchies().mode === "unified") {
    const { readStatsV2 } = await import("./stats-v2.ts");
    return { version: 2, metrics: readStatsV2(paths) };
  }
  const { readStatsV1 } = await import("./stats-v1.ts");
  return { version: 1, metrics: readStatsV1(paths) };
}
