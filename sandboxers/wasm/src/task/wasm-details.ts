import { join, resolve } from "node:path";
import type { CgroupPaths } from "@kuasar/framework/cgroup/cgroup-paths";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { JsonObject } from "@kuasar/framework/store/json";
import type { Task } from "@kuasar/framework/task/task";
import { processKey } from "@kuasar/framework/task/task-record";
import type { EngineName } from "../engine/wasm-engine.ts";

/** What this sandboxer keeps in the record of a task that is a module. */
export interface WasmDetails {
  readonly wasm: true;
  readonly engine: EngineName;
  /** Something was mounted on the bundle's rootfs. */
  readonly mounted: boolean;
  /** Its own cgroup, below the root of every hierarchy; "" if it has none. */
  readonly cgroup: string;
  /** A signal that the engine would have ended by, had it not been the first process of its pid namespace. */
  readonly endedBy?: Readonly<Record<string, number>>;
}

export function wasmDetails(task: Task): WasmDetails | undefined {
  const { engine } = task.record;
  return engine.wasm === true ? (engine as unknown as WasmDetails) : undefined;
}

export function saveDetails(task: Task, details: WasmDetails): void {
  task.update({ engine: details as unknown as JsonObject });
}

/** The engine that the task's options name, or the sandbox's. */
export function engineInOptions(sandbox: Sandbox, task: Task): EngineName | undefined {
  return (task.record.engine.wasmEngine ?? sandbox.record.engine.wasmEngine) as EngineName | undefined;
}

export function cgroupOf({ cgroup }: WasmDetails): CgroupPaths | undefined {
  return cgroup === "" ? undefined : { common: cgroup };
}

/** Where the bundle's mounts go. */
export function rootfsOf(task: Task): string {
  return join(task.bundle, "rootfs");
}

/** The container's root, which need not be in its bundle (`ctr run --rootfs`). */
export function rootOf(task: Task, { root }: OciSpec): string {
  return resolve(task.bundle, root?.path || "rootfs");
}

/** What compiles the task's module, for the monitor. */
export function compilerKey(taskId: string): string {
  return `${taskId}/.compile`;
}

/** Of every process that the monitor may know of the task. */
export function keysOf(task: Task): string[] {
  return [
    processKey(task.id),
    compilerKey(task.id),
    ...Object.keys(task.record.execs).map((execId) => processKey(task.id, execId)),
  ];
}
