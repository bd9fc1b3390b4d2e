import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, errorText, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import type { Guest } from "../guest/guest.ts";

const RETRY_MS = 200;
/** After so many events of a container they come no faster than this: it is the guest that says there are more. */
const BURST = 10;
const PACE_MS = 1_000;

/**
 * Tells the pod's shim of each process that the guest's kernel kills for lack of memory, until the container's init process
 * has exited and all have been told. The shim keeps count of what it has told: this begins anew in a sandboxer that was
 * restarted.
 */
export async function tellOom(guest: Guest, monitor: Monitor, id: string, cgroup: string, log: Logger): Promise<void> {
  for (let told = 0, answers = 1; ; answers++) {
    try {
      const { count, exited } = await guest.waitForOom(cgroup, told, id);
      if (count > told) await monitor.reportOom(id, count);
      told = count;
      if (exited) return;
      if (answers > BURST) await sleep(PACE_MS);
    } catch (error) {
      // The machine has ended, and the container with it.
      if (guest.closed) return;
      if (!isCode(error, ErrorCode.UNAVAILABLE) || monitor.lost) {
        // The container's cgroup has gone before it was asked for, as when its create was undone.
        if (!isCode(error, ErrorCode.NOT_FOUND)) {
          log.warn({ task: id, err: errorText(error) }, "out of memory events of a container are missing");
        }
        return;
      }
      await sleep(RETRY_MS);
    }
  }
}
