import { availableParallelism, totalmem } from "node:os";
import type { VmmConfig } from "../config.ts";
import type { Size } from "./pod-size.ts";

/** Of an x86 huge page. */
const GRANULE_MIB = 2;

type SizeConfig = Pick<VmmConfig, "vcpus" | "memory_in_mb" | "default_max_vcpus" | "default_max_memory_in_mb">;

/** The most that a machine may have: as the config says, or what the host has. Never less than what all have. */
export function largestSize(config: SizeConfig, host: Size = hostSize()): Size {
  return {
    vcpus: config.default_max_vcpus || Math.max(config.vcpus, host.vcpus),
    memoryMiB: config.default_max_memory_in_mb || Math.max(config.memory_in_mb, host.memoryMiB),
  };
}

/**
 * A machine for what its pod asks for, within the bounds. A limit is no promise: a pod that may use more than a machine
 * can have gets what there is, as one that may use more than a node has does.
 */
export function machineSize(config: SizeConfig, asked: Size, largest: Size): Size {
  return smaller(largest, {
    vcpus: config.vcpus + asked.vcpus,
    memoryMiB: Math.ceil((config.memory_in_mb + asked.memoryMiB) / GRANULE_MIB) * GRANULE_MIB,
  });
}

export const smaller = (a: Size, b: Size): Size => ({
  vcpus: Math.min(a.vcpus, b.vcpus),
  memoryMiB: Math.min(a.memoryMiB, b.memoryMiB),
});

function hostSize(): Size {
  return { vcpus: availableParallelism(), memoryMiB: Math.floor(totalmem() / 1024 ** 2) };
}
