import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errorText, failedPrecondition, unknown } from "@kuasar/framework/error/sandbox-error";
import type { Task } from "@kuasar/framework/task/task";
import type { CheckpointRequest } from "@kuasar/framework/task/task-engine";
import type { Container, OciRuntime } from "../oci-runtime/oci-runtime.ts";
import type { TaskDetails } from "./task-details.ts";

/** FAILED_PRECONDITION for a task whose processes have FIFOs, which are outside of their mount namespace. */
export function requirePipes({ id, record }: Task, { pipes }: TaskDetails): void {
  const { terminal, stdin, stdout, stderr } = record.io;
  if (!pipes && !terminal && `${stdin}${stdout}${stderr}` !== "") {
    throw failedPrecondition(
      `task ${id} was made when criu was not there, or did not work: its stdio cannot be checkpointed`,
    );
  }
}

/** Contract: the runc shim's `pkg/process/init.go`, checkpoint. */
export async function checkpoint(
  runtime: OciRuntime,
  container: Container,
  task: Task,
  request: CheckpointRequest,
  timeoutMs: number,
): Promise<void> {
  const work = request.workPath || join(task.bundle, "work", "criu-work");
  const args = ["--image-path", request.path, "--work-path", work];
  const flags: [boolean, string][] = [
    [!request.exit, "--leave-running"],
    [request.openTcp, "--tcp-established"],
    [request.externalUnixSockets, "--ext-unix-sk"],
    [request.terminal, "--shell-job"],
    [request.fileLocks, "--file-locks"],
  ];
  args.push(...flags.filter(([asked]) => asked).map(([, flag]) => flag));
  for (const namespace of request.emptyNamespaces) {
    args.push("--empty-ns", namespace);
  }
  mkdirSync(work, { recursive: true, mode: 0o711 });
  try {
    await runtime.checkpoint(container, args, timeoutMs);
  } catch (error) {
    const dumpLog = join(task.bundle, "criu-dump.log");
    keepLog(join(work, "dump.log"), dumpLog);
    throw unknown(`${errorText(error).split("\n")[0]} path= ${dumpLog}`);
  } finally {
    if (request.workPath === "") {
      rmSync(work, { recursive: true, force: true });
    }
  }
}

/** The arguments of `restore`, beside those that every container has. */
export function restoreArgs(task: Task, { options, restore }: TaskDetails): string[] {
  const work = options.criuWorkPath || join(task.bundle, "work");
  mkdirSync(work, { recursive: true, mode: 0o711 });
  const args = ["--image-path", restore?.image ?? "", "--work-path", work];
  return restore?.parent ? [...args, "--parent-path", restore.parent] : args;
}

function keepLog(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch {
    // criu was not even started.
  }
}
