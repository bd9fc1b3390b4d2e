import { podFilesOf, rememberStandIns } from "@kuasar/framework/pause/pause-pods";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskRequest } from "@kuasar/framework/task/task-engine";
import { writeBundleFiles } from "../options/bundle-files.ts";
import type { RuntimeChoice } from "../runtime-choice.ts";
import { findOwnCgroup } from "./container-cgroup.ts";
import type { Criu } from "./criu.ts";
import { prepareSpec, rootfsFolder } from "./prepare-bundle.ts";
import { asStored, containerOf, storedOptions, type TaskDetails } from "./task-details.ts";
import { taskStdio } from "./task-stdio.ts";

/**
 * Makes a container up to its waiting init process, whose pid is the answer; 0 for one that is restored at its start.
 * Whatever was done until an error is in the record, for `discard` to undo.
 */
export async function createContainer(
  choice: RuntimeChoice,
  criu: Criu,
  sandbox: Sandbox,
  task: Task,
  request: TaskRequest,
  timeoutMs: number,
): Promise<number> {
  const options = storedOptions(sandbox, task);
  const binary = choice.binaryOf(options);
  const runtime = choice.runtime(binary);
  const { standIns, ...facts } = prepareSpec(
    task.bundle,
    podFilesOf(sandbox),
    await runtime.specVersion(sandbox.monitor),
  );
  rememberStandIns(sandbox, standIns);
  const image = request.checkpoint || options.restoreImage;
  const details: TaskDetails = {
    options,
    binary,
    ...facts,
    pipes: image !== "" || (await criu.works(options.criuPath)),
    mounted: request.rootfs.length > 0,
    ...(image !== "" && { restore: { image, parent: request.parentCheckpoint } }),
  };
  task.update({ engine: asStored(details) });
  writeBundleFiles(task.bundle, options, binary);
  if (details.mounted) {
    await sandbox.monitor.mount(request.rootfs, rootfsFolder(task.bundle));
  }
  if (details.restore !== undefined) {
    return 0;
  }
  const stdio = taskStdio(sandbox, task.record.io, details);
  const pid = await runtime.create(containerOf(sandbox, task, details), stdio, timeoutMs);
  const cgroup = findOwnCgroup(pid);
  if (cgroup !== undefined) {
    task.update({ engine: asStored({ ...details, cgroup }) });
  }
  return pid;
}
