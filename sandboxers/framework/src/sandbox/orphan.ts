import { lstatSync, rmSync } from "node:fs";
import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";
import { socketPath } from "../monitor/monitor-client.ts";
import type { Monitors } from "../monitor/own-monitor.ts";
import { isSameProcess } from "../proc/start-time.ts";
import { logUnwritten } from "../store/unwritten.ts";
import { processKey } from "../task/task-record.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Sandboxer } from "./sandboxer.ts";

/** Whether what is left of the sandbox is in nobody's care: its monitor died, and it has been given no other. */
export function isOrphan({ monitor, record }: Sandbox): boolean {
  return monitor.lost || (record.orphaned === true && !record.ownMonitor);
}

/**
 * Gives a sandbox whose monitor died another one, to be removed with: what still runs of the sandbox is put into the
 * new monitor's care. Pids are only trusted together with their start time.
 */
export async function adoptOrphan(
  sandbox: Sandbox,
  sandboxer: Sandboxer,
  monitors: Monitors,
  log: Logger,
): Promise<void> {
  sandbox.monitor.close();
  // A process that is killed leaves its socket; the shim's `delete` command, which removes it, may never have been run.
  const path = socketPath(sandbox.record.monitorAddress);
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) {
    rmSync(path, { force: true });
  }
  const monitor = await monitors.launch(sandbox.key);
  sandbox.monitor = monitor;
  const change = { state: "deleting", monitorAddress: monitor.address, ownMonitor: true, orphaned: true } as const;
  logUnwritten(log, { sandbox: sandbox.id }, sandbox.note(change));
  for (const { key, pid, startTime } of processes(sandbox, sandboxer)) {
    if (isSameProcess(pid, startTime)) {
      try {
        await monitor.adopt(key, pid, startTime);
      } catch (error) {
        log.warn({ sandbox: sandbox.id, key, pid, err: errorText(error) }, "a process cannot be adopted");
      }
    }
  }
}

function* processes(
  sandbox: Sandbox,
  { processKey: own = sandbox.id, holdsTasks }: Sandboxer,
): Iterable<{ key: string; pid: number; startTime: number }> {
  yield { key: own, pid: sandbox.record.pid, startTime: sandbox.record.startTime };
  if (holdsTasks) {
    return;
  }
  for (const { record } of sandbox.tasks.values()) {
    yield { key: processKey(record.id), pid: record.pid, startTime: record.startTime };
    for (const exec of Object.values(record.execs)) {
      yield { key: processKey(record.id, exec.id), pid: exec.pid, startTime: exec.startTime };
    }
  }
}
