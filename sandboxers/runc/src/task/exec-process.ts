import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import { type ExecRecord, processKey } from "@kuasar/framework/task/task-record";
import type { RuntimeChoice } from "../runtime-choice.ts";
import { containerOf, type TaskDetails } from "./task-details.ts";
import { taskStdio } from "./task-stdio.ts";

/** Starts a process in a container; answers with its pid. */
export async function startExec(
  choice: RuntimeChoice,
  sandbox: Sandbox,
  task: Task,
  details: TaskDetails,
  exec: ExecRecord,
  timeoutMs: number,
): Promise<number> {
  const processFile = join(task.bundle, `${exec.id}.process.json`);
  const process: Record<string, unknown> = { ...JSON.parse(exec.spec ?? "{}"), terminal: exec.io.terminal };
  writeFileSync(processFile, JSON.stringify(process), { mode: 0o600 });
  try {
    const stdio = taskStdio(sandbox, exec.io, details);
    const runtime = choice.runtime(details.binary);
    return await runtime.exec(containerOf(sandbox, task, details), { execId: exec.id, processFile, stdio }, timeoutMs);
  } finally {
    rmSync(processFile, { force: true });
  }
}

export async function deleteExec({ monitor }: Sandbox, task: Task, execId: string): Promise<void> {
  await monitor.release(processKey(task.id, execId));
  rmSync(join(task.bundle, `${execId}.pid`), { force: true });
}
