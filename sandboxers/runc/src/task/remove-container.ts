import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { signalMembers } from "@kuasar/framework/cgroup/members";
import { removeCgroup } from "@kuasar/framework/cgroup/remove-cgroup";
import { ErrorCode, isCode, unavailable } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import { processKey } from "@kuasar/framework/task/task-record";
import { clearStateFolder } from "../oci-runtime/state-folder.ts";
import type { RuntimeChoice } from "../runtime-choice.ts";
import { cgroupOfUnfinished } from "./container-cgroup.ts";
import { containerOf, type TaskDetails, taskDetails } from "./task-details.ts";

const SIGKILL = 9;

/** Removes a container whose init process has exited, or never went further than waiting to be started. */
export async function deleteContainer(choice: RuntimeChoice, sandbox: Sandbox, task: Task): Promise<void> {
  const details = taskDetails(task);
  if (details === undefined) {
    return;
  }
  await interruptExecs(sandbox.monitor, task);
  if (!task.initGone) {
    await endProcess(sandbox.monitor, task.id);
  }
  await choice.runtime(details.binary).delete(containerOf(sandbox, task, details), false);
  await releaseBundle(sandbox, task, details);
}

/** Removes all there is of a container, in whatever state it is. */
export async function discardContainer(choice: RuntimeChoice, sandbox: Sandbox, task: Task): Promise<void> {
  const details = taskDetails(task);
  if (details === undefined) {
    return;
  }
  await interruptExecs(sandbox.monitor, task);
  const cgroup = cgroupOfUnfinished(task, details);
  if (cgroup !== undefined && !(await signalMembers(cgroup, SIGKILL))) {
    throw unavailable(`task ${task.id}: its processes in cgroup ${cgroup.common} do not end`);
  }
  await Promise.all(keysOf(task).map((key) => endProcess(sandbox.monitor, key)));
  const container = containerOf(sandbox, task, details);
  if (existsSync(task.bundle)) {
    await choice.runtime(details.binary).delete(container, true);
  }
  // Or else containerd has removed the bundle, which the OCI runtime writes its log to. Nothing runs; what it kept can go.
  await clearStateFolder(container);
  if (cgroup !== undefined) {
    // An OCI runtime that was interrupted does not know what it has made already.
    await removeCgroup(hierarchies(), cgroup);
  }
  await releaseBundle(sandbox, task, details);
}

/** An OCI runtime that hangs in an exec of the container's must not outlive it. */
async function interruptExecs(monitor: Monitor, task: Task): Promise<void> {
  if (Object.values(task.record.execs).some(({ state }) => state === "starting")) {
    await monitor.cancel(task.id);
  }
}

/** Ends a process and waits until it has. One that the monitor does not know has ended, or never began. */
async function endProcess(monitor: Monitor, key: string): Promise<void> {
  try {
    await monitor.signal(key, SIGKILL);
    await monitor.wait(key);
  } catch (error) {
    if (!isCode(error, ErrorCode.NOT_FOUND)) {
      throw error;
    }
  }
}

async function releaseBundle({ monitor }: Sandbox, task: Task, { mounted }: TaskDetails): Promise<void> {
  const unmounted = mounted ? monitor.unmount(join(task.bundle, "rootfs")) : undefined;
  await Promise.all([unmounted, ...keysOf(task).map((key) => monitor.release(key))]);
  for (const name of ["init", ...Object.keys(task.record.execs)]) {
    rmSync(join(task.bundle, `${name}.pid`), { force: true });
    // An interrupted OCI runtime leaves its draft, and then refuses to make another.
    rmSync(join(task.bundle, `.${name}.pid`), { force: true });
  }
}

function keysOf(task: Task): string[] {
  return ["", ...Object.keys(task.record.execs)].map((execId) => processKey(task.id, execId));
}
