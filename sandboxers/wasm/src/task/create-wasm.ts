import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { createPodCgroup } from "@kuasar/framework/cgroup/pod-cgroup";
import { invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import { podFilesOf, rememberStandIns } from "@kuasar/framework/pause/pause-pods";
import { planFromSpec } from "@kuasar/framework/pause/plan-from-spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskRequest } from "@kuasar/framework/task/task-engine";
import { processKey } from "@kuasar/framework/task/task-record";
import { prepareReadSpec, rootfsFolder } from "@kuasar/runc-sandboxer/task/prepare-bundle";
import { isSocketAddress } from "../config.ts";
import type { EngineChoice } from "../engine/engine-choice.ts";
import type { Entry } from "../entry/entry.ts";
import { layersOf, loadModule, type ModuleLoader } from "./load-module.ts";
import { engineSpawnRequest } from "./spawn-engine.ts";
import { engineInOptions, saveDetails, type WasmDetails } from "./wasm-details.ts";

/** Where an HTTP component of this pod or container listens: `ADDRESS:PORT`. */
export const HTTP_ANNOTATION = "kuasar.io/wasm-http-address";

/** A container whose first argument names a module. */
export interface WasmContainer {
  /** As its bundle has it. */
  readonly spec: OciSpec;
  readonly entry: Entry;
}

/**
 * Makes a module's process up to its exec; answers with its pid. Whatever was done until an error is in the record,
 * for `discard` to undo.
 */
export async function createWasm(
  choice: EngineChoice,
  loader: ModuleLoader,
  sandbox: Sandbox,
  task: Task,
  container: WasmContainer,
  request: TaskRequest,
  timeoutMs: number,
): Promise<number> {
  const fromOptions = engineInOptions(sandbox, task);
  const { entry } = container;
  const { spec, facts } = prepareReadSpec(task.bundle, container.spec, podFilesOf(sandbox), undefined);
  rememberStandIns(sandbox, facts.standIns);
  const program = await choice.program(spec, fromOptions);
  const details: WasmDetails = {
    wasm: true,
    engine: program.engine.name,
    mounted: request.rootfs.length > 0,
    cgroup: facts.wantedCgroup,
  };
  saveDetails(task, details);
  const { cgroup } = details;
  // The one by the monitor, while the other is done here.
  const mounted = details.mounted ? sandbox.monitor.mount(request.rootfs, rootfsFolder(task.bundle)) : undefined;
  try {
    if (cgroup !== "") {
      createPodCgroup(hierarchies(), cgroup, planFromSpec(spec, task.id).resources);
    }
  } finally {
    await mounted;
  }
  const wanted = { name: entry.module, cgroup, layers: layersOf(request.rootfs), timeoutMs };
  const module = await loadModule(loader, sandbox, task, spec, program, wanted);
  try {
    return await sandbox.monitor.spawn(
      engineSpawnRequest({
        key: processKey(task.id),
        task,
        spec,
        process: spec.process ?? {},
        io: task.record.io,
        program,
        entry,
        module,
        httpAddress: httpAddress(spec, loader.config.http_address),
        cgroup,
        hold: true,
      }),
    );
  } finally {
    module.release();
  }
}

export function httpAddress({ annotations }: OciSpec, fallback: string): string {
  const address = annotations?.[HTTP_ANNOTATION] ?? fallback;
  if (!isSocketAddress(address)) {
    throw invalidArgument(`annotation ${HTTP_ANNOTATION} is ${quote(address)}, expected ADDRESS:PORT`);
  }
  return address;
}
