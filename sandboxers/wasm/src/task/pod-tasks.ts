import { readSpec } from "@kuasar/framework/oci/read-spec";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskEngine } from "@kuasar/framework/task/task-engine";
import { entryOf } from "../entry/entry.ts";
import { wasmDetails } from "./wasm-details.ts";
import type { WasmTasks } from "./wasm-tasks.ts";

/**
 * The tasks of a Wasm pod: modules by a Wasm engine, and whatever else (a mesh's proxy, a log collector) by an OCI
 * runtime. Which of the two a task is, its spec says when it is made, and its record from then on.
 */
export function createPodTasks(wasm: WasmTasks, oci: TaskEngine): TaskEngine {
  const of = (task: Task) => (wasmDetails(task) === undefined ? oci : wasm);

  return {
    create: (sandbox, task, request, timeoutMs) => {
      const spec = readSpec(task.bundle);
      const entry = entryOf(spec?.process?.args ?? []);
      return spec === undefined || entry === undefined
        ? oci.create(sandbox, task, request, timeoutMs)
        : wasm.create(sandbox, task, { spec, entry }, request, timeoutMs);
    },
    start: (sandbox, task, timeoutMs) => of(task).start(sandbox, task, timeoutMs),
    hasStarted: (sandbox, task) => of(task).hasStarted(sandbox, task),
    delete: (sandbox, task) => of(task).delete(sandbox, task),
    discard: (sandbox, task) => of(task).discard(sandbox, task),
    interrupt: (sandbox, task) => of(task).interrupt(sandbox, task),
    startExec: (sandbox, task, exec, timeoutMs) => of(task).startExec(sandbox, task, exec, timeoutMs),
    deleteExec: (sandbox, task, execId) => of(task).deleteExec(sandbox, task, execId),
    wait: (sandbox, task, execId) => of(task).wait(sandbox, task, execId),
    initExited: (sandbox, task) => of(task).initExited(sandbox, task),
    signal: (sandbox, task, execId, signal, all) => of(task).signal(sandbox, task, execId, signal, all),
    pause: (sandbox, task, timeoutMs) => of(task).pause(sandbox, task, timeoutMs),
    resume: (sandbox, task, timeoutMs) => of(task).resume(sandbox, task, timeoutMs),
    update: (sandbox, task, resources, timeoutMs) => of(task).update(sandbox, task, resources, timeoutMs),
    checkpoint: (sandbox, task, request, timeoutMs) => of(task).checkpoint(sandbox, task, request, timeoutMs),
    resize: (sandbox, task, execId, width, height) => of(task).resize(sandbox, task, execId, width, height),
    closeStdin: (sandbox, task, execId) => of(task).closeStdin(sandbox, task, execId),
    pids: (sandbox, task) => of(task).pids(sandbox, task),
    stats: (sandbox, task) => of(task).stats(sandbox, task),
  };
}
