import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, errorText, isCode, notFound } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { Machines } from "../machine/machine.ts";
import { HYPERVISOR_KEY, kill } from "../machine/machine-end.ts";

const RETRY_MS = 200;
const LOOK_MS = 250;

export interface KillTimes {
  /** How long a guest may take to take note of SIGKILL. */
  readonly heardMs: number;
  /** And then to end a process by it. */
  readonly endedMs: number;
}

const TIMES: KillTimes = { heardMs: 10_000, endedMs: 60_000 };

/**
 * Kills a container's first process, or has the machine die for it: SIGKILL is what a pod's removal waits for, and a guest
 * that does not act on it, or is in no state to, shall not keep its pod.
 *
 * @param ask what asks the guest for it
 */
export async function killInit(
  machines: Machines,
  sandbox: Sandbox,
  task: Task,
  ask: () => Promise<void>,
  log: Logger,
  times = TIMES,
): Promise<void> {
  const giveUp = async (why: string) => {
    if (machines.isOver(sandbox)) return;
    log.warn({ sandbox: sandbox.id, task: task.id, why }, "a guest does not end a container: its machine is ended");
    await kill(sandbox.monitor, HYPERVISOR_KEY);
  };
  for (const until = Date.now() + times.heardMs; ; await sleep(RETRY_MS)) {
    try {
      await ask();
      break;
    } catch (error) {
      if (machines.isOver(sandbox)) throw notFound("process already finished");
      const unheard = isCode(error, ErrorCode.UNAVAILABLE) || isCode(error, ErrorCode.DEADLINE_EXCEEDED);
      if (!unheard) throw error;
      if (Date.now() < until && machines.of(sandbox).liveness.silentSince === undefined) continue;
      await giveUp(errorText(error));
      return;
    }
  }
  const { dying } = machines.of(sandbox);
  if (dying.has(task.id)) return;
  dying.add(task.id);
  void requireEnd(machines, sandbox, task, times.endedMs)
    .then((hasEnded) => (hasEnded ? undefined : giveUp(`it runs ${times.endedMs} ms after SIGKILL`)))
    .catch((error: unknown) => log.warn({ sandbox: sandbox.id, err: errorText(error) }, "a machine cannot be ended"))
    .finally(() => dying.delete(task.id));
}

/** Whether a container ends in time. A client that does not take its output is not the guest's doing. */
async function requireEnd(machines: Machines, sandbox: Sandbox, task: Task, endedMs: number): Promise<boolean> {
  for (let leftMs = endedMs; leftMs > 0; ) {
    if (task.exit("").settled || machines.isOver(sandbox)) return true;
    await sleep(LOOK_MS, undefined, { ref: false });
    if (!machines.known(sandbox)?.pumps.get(task.id)?.isStalled) leftMs -= LOOK_MS;
  }
  return task.exit("").settled;
}
