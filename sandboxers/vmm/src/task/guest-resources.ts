import type { JsonObject } from "@kuasar/framework/store/json";

/** Which of the host's processors, memory nodes, disks and huge pages: a guest has others, and its own number of each. */
const OF_THE_HOST = ["blockIO", "hugepageLimits", "network", "rdma", "intelRdt"];
const CPU_OF_THE_HOST = ["cpus", "mems", "realtimeRuntime", "realtimePeriod"];

/** The part of a container's resources (OCI `linux.resources`) that a guest, whose cgroups are v2, can be held to. */
export function guestResources(resources: JsonObject): JsonObject {
  const rest = without(resources, OF_THE_HOST);
  const { cpu } = rest;
  return typeof cpu === "object" && cpu !== null ? { ...rest, cpu: without(cpu as JsonObject, CPU_OF_THE_HOST) } : rest;
}

function without(values: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
}
