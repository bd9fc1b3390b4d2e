import { ErrorCode, SandboxError } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import { readSpec } from "@kuasar/framework/oci/read-spec";
import type { OciProcess, OciSpec } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import { type ExecRecord, processKey } from "@kuasar/framework/task/task-record";
import type { EngineChoice } from "../engine/engine-choice.ts";
import { type Entry, entryOf } from "../entry/entry.ts";
import { httpAddress } from "./create-wasm.ts";
import { loadModule, type ModuleLoader } from "./load-module.ts";
import { engineSpawnRequest } from "./spawn-engine.ts";
import type { WasmDetails } from "./wasm-details.ts";

/**
 * Runs a module, or a function of one, beside a container's own: in its namespaces and its cgroup, with what it sees,
 * and with a memory of its own, since no engine lets anybody into a module that runs.
 */
export async function execWasm(
  choice: EngineChoice,
  loader: ModuleLoader,
  sandbox: Sandbox,
  task: Task,
  details: WasmDetails,
  exec: ExecRecord,
  timeoutMs: number,
): Promise<number> {
  const spec = readSpec(task.bundle) as OciSpec;
  const process = JSON.parse(exec.spec ?? "{}") as OciProcess;
  const entry = execEntry(process.args ?? [], spec.process?.args ?? []);
  const program = await choice.program(spec, details.engine);
  const wanted = { name: entry.module, cgroup: details.cgroup, layers: "", timeoutMs };
  const module = await loadModule(loader, sandbox, task, spec, program, wanted);
  try {
    return await sandbox.monitor.spawn(
      engineSpawnRequest({
        key: processKey(task.id, exec.id),
        task,
        spec,
        process,
        io: exec.io,
        program,
        entry,
        module,
        httpAddress: httpAddress(spec, loader.config.http_address),
        cgroup: details.cgroup,
        besideInit: task.record.pid,
        hold: false,
      }),
    );
  } finally {
    module.release();
  }
}

/** A module of the container's, or `#function` of the one that it runs. UNIMPLEMENTED for a Linux program. */
function execEntry(args: readonly string[], own: readonly string[]): Entry {
  const [first = "", ...rest] = args;
  const module = entryOf(own)?.module;
  const entry = first.startsWith("#") && module !== undefined ? entryOf([`${module}${first}`, ...rest]) : entryOf(args);
  if (entry === undefined) {
    throw new SandboxError(
      ErrorCode.UNIMPLEMENTED,
      `exec ${quote(first)}: a Wasm container has no Linux programs; expected module.wasm, module.wasm#function, ` +
        "or #function of its own module",
    );
  }
  return entry;
}
