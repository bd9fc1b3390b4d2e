import type { JsonObject } from "@kuasar/framework/store/json";
import type { VmmConfig } from "../../config.ts";

/** What a piece of a machine's memory is to QEMU, as object-add takes it. Shared: a share's file server reads and writes it. */
export function memoryBackend(config: VmmConfig, id: string, bytes: number): JsonObject {
  const { memory_path, hugepages, mem_prealloc } = config;
  return {
    ...(memory_path === ""
      ? { "qom-type": "memory-backend-memfd" }
      : { "qom-type": "memory-backend-file", "mem-path": memory_path }),
    id,
    size: bytes,
    share: true,
    ...(hugepages && { hugetlb: true }),
    ...(mem_prealloc && { prealloc: true }),
  };
}

/** The same as the argument of -object. */
export function asArgument({ "qom-type": type, ...rest }: JsonObject): string {
  const words = Object.entries(rest).map(([name, value]) => `${name}=${value === true ? "on" : value}`);
  return [type, ...words].join(",");
}
