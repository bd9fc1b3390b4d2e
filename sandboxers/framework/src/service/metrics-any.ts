import type { CgroupMetrics } from "../cgroup/stats.ts";
import type { TypedBytes } from "../sandbox/typed-bytes.ts";

/** The metrics as containerd packs them. The codecs are loaded when first needed: they are large. */
export async function packMetrics(read: CgroupMetrics): Promise<TypedBytes> {
  const { io } = await import("@kuasar/proto/metrics");
  const { v1, v2 } = io.containerd.cgroups;
  return read.version === 1
    ? { typeUrl: v1.Metrics.typeName, value: v1.Metrics.encode(read.metrics) }
    : { typeUrl: v2.Metrics.typeName, value: v2.Metrics.encode(read.metrics) };
}
