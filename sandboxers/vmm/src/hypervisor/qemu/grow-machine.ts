import { randomBytes } from "node:crypto";
import { ErrorCode, SandboxError } from "@kuasar/framework/error/sandbox-error";
import { isJsonObject, type JsonObject } from "@kuasar/framework/store/json";
import type { VmmConfig } from "../../config.ts";
import type { Size } from "../../size/pod-size.ts";
import { memoryBackend } from "./memory-backend.ts";
import type { Qmp } from "./qmp.ts";

const MEBIBYTE = 1024 * 1024;
/** Of a memory block of Linux on x86: what is plugged in is a multiple of it. memory-hotplug.rst */
export const MEMORY_BLOCK_MIB = 128;

/**
 * Plugs in what a running machine lacks of the size; what it has stays. Answers with what it has then, which is told by QEMU
 * alone, so that it may be called again after any failure. Memory comes in blocks, and no further than the size.
 */
export async function growMachine(qmp: Pick<Qmp, "run">, config: VmmConfig, wanted: Size): Promise<Size> {
  const vcpus = await addProcessors(qmp, wanted.vcpus);
  return { vcpus, memoryMiB: await addMemory(qmp, config, wanted.memoryMiB) };
}

async function addProcessors(qmp: Pick<Qmp, "run">, wanted: number): Promise<number> {
  const places = listOf(await qmp.run("query-hotpluggable-cpus"), "query-hotpluggable-cpus");
  const taken = places.filter((place) => "qom-path" in place).length;
  // QEMU names the last place first.
  const free = places.filter((place) => !("qom-path" in place)).reverse();
  const added = free.slice(0, Math.max(0, wanted - taken));
  for (const [i, { type, props }] of added.entries()) {
    await qmp.run("device_add", { driver: type, id: `processor-${taken + i}`, ...(isJsonObject(props) ? props : {}) });
  }
  return taken + added.length;
}

async function addMemory(qmp: Pick<Qmp, "run">, config: VmmConfig, wanted: number): Promise<number> {
  const summary = await qmp.run("query-memory-size-summary");
  const base = numberIn(summary, "base-memory");
  const present = Math.floor((base + numberIn(summary, "plugged-memory")) / MEBIBYTE);
  const missing = Math.floor((wanted - present) / MEMORY_BLOCK_MIB) * MEMORY_BLOCK_MIB;
  if (missing <= 0) return present;
  // Of a name that no attempt before it can have left.
  const id = `memory-${randomBytes(6).toString("hex")}`;
  await qmp.run("object-add", memoryBackend(config, id, missing * MEBIBYTE));
  try {
    await qmp.run("device_add", { driver: "pc-dimm", id: `dimm-${id}`, memdev: id });
  } catch (error) {
    await qmp.run("object-del", { id });
    throw error;
  }
  return present + missing;
}

function listOf(answer: unknown, command: string): JsonObject[] {
  if (Array.isArray(answer)) return answer.filter(isJsonObject);
  throw unexpected(command);
}

function numberIn(answer: unknown, name: string): number {
  const value = isJsonObject(answer) ? (answer[name] ?? 0) : undefined;
  if (typeof value === "number") return value;
  throw unexpected("query-memory-size-summary");
}

const unexpected = (command: string) =>
  new SandboxError(ErrorCode.INTERNAL, `QEMU's answer to ${command} is none that this sandboxer knows`);
