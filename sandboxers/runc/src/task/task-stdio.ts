import type { Stdio } from "@kuasar/framework/monitor/monitor";
import { socketPath } from "@kuasar/framework/monitor/monitor-client";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { TaskIo } from "@kuasar/framework/task/task-record";
import type { TaskDetails } from "./task-details.ts";

// Another process of this sandboxer may have used the same monitor: start anywhere.
let serial = Math.floor(Math.random() * 0x10000);

/**
 * The stdio of a process as the monitor is asked for it. A terminal comes by a socket beside the monitor's own, whose
 * path is known to be short enough.
 */
export function taskStdio(sandbox: Sandbox, io: TaskIo, { options, pipes }: TaskDetails): Stdio {
  serial = (serial + 1) % 0x1000000;
  const consoleSocket = io.terminal ? `${socketPath(sandbox.monitor.address)}.pty${serial.toString(36)}` : "";
  return { ...io, consoleSocket, uid: options.ioUid, gid: options.ioGid, pipes };
}
