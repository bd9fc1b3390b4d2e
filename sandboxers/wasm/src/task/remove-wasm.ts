import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { signalMembers } from "@kuasar/framework/cgroup/members";
import { removeCgroup } from "@kuasar/framework/cgroup/remove-cgroup";
import { ErrorCode, isCode, unavailable } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import { cgroupOf, keysOf, rootfsOf, wasmDetails } from "./wasm-details.ts";

const SIGKILL = 9;

/** Removes all there is of a module's container, in whatever state it is: exited, waiting to be started, half made. */
export async function removeWasm({ monitor }: Sandbox, task: Task): Promise<void> {
  const details = wasmDetails(task);
  if (details === undefined) {
    return;
  }
  const cgroup = cgroupOf(details);
  if (cgroup !== undefined && !(await signalMembers(cgroup, SIGKILL))) {
    throw unavailable(`task ${task.id}: its processes in cgroup ${cgroup.common} do not end`);
  }
  await Promise.all(keysOf(task).map((key) => endProcess(monitor, key)));
  await Promise.all(keysOf(task).map((key) => monitor.release(key)));
  if (details.mounted) {
    await monitor.unmount(rootfsOf(task));
  }
  if (cgroup !== undefined) {
    const left = await removeCgroup(hierarchies(), cgroup);
    if (left.length > 0) {
      throw unavailable(`task ${task.id}: its cgroup cannot be removed: ${left.join(", ")}`);
    }
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
