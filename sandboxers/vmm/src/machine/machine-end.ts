import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import type { Exit } from "@kuasar/framework/sandbox/exit";
import { VIRTIOFSD_KEY } from "../share/virtiofsd.ts";

/** The monitor's key of a machine's own process. */
export const HYPERVISOR_KEY = "hypervisor";

const SIGKILL = 9;
/** A machine that is killed ends together with its file server: which was the first is not told by what is heard first. */
const TOGETHER_MS = 100;
/** One that ends by itself lets its file server go, which ends in order, and then takes its time. */
const LEAVING_MS = 2_000;

/** How a machine ended. */
export interface MachineEnd {
  /** Of the hypervisor. */
  readonly exit: Exit;
  /** Which of its processes ended by itself, and how. */
  readonly cause: string;
}

/**
 * Answers when a machine has ended. One whose file server has ended is ended, too: whatever its guest does with files would
 * hang.
 */
export async function machineEnd(monitor: Monitor): Promise<MachineEnd> {
  const machine = monitor.wait(HYPERVISOR_KEY);
  const first = await Promise.race([machine, shareEnd(monitor)]);
  const patienceMs = first.exit.status === 0 ? LEAVING_MS : TOGETHER_MS;
  const other = await Promise.race([machine, sleep(patienceMs, undefined, { ref: false })]);
  if (other) return { exit: other.exit, cause: howItEnded("the hypervisor", other.exit) };
  await kill(monitor, HYPERVISOR_KEY);
  const { exit } = await machine;
  return { exit, cause: `${howItEnded("virtiofsd, the server of its files,", first.exit)}, and the machine was ended` };
}

/** Never settles for a machine without a file server. */
async function shareEnd(monitor: Monitor) {
  try {
    return await monitor.wait(VIRTIOFSD_KEY);
  } catch (error) {
    if (isCode(error, ErrorCode.NOT_FOUND)) return await new Promise<never>(() => {});
    throw error;
  }
}

function howItEnded(what: string, { status }: Exit): string {
  if (status > 128 && status <= 192) return `${what} was ended by signal ${status - 128}`;
  return `${what} has ended with status ${status}`;
}

/** Ends the process, if it runs. */
export async function kill(monitor: Monitor, key: string): Promise<void> {
  try {
    await monitor.signal(key, SIGKILL);
  } catch (error) {
    if (!isCode(error, ErrorCode.NOT_FOUND)) throw error;
  }
}

/** Ends a machine's processes, whatever there is of them, and has the monitor forget them. */
export async function endProcesses(monitor: Monitor): Promise<void> {
  for (const key of [HYPERVISOR_KEY, VIRTIOFSD_KEY]) {
    await kill(monitor, key);
    await monitor.wait(key).catch((error: unknown) => {
      if (!isCode(error, ErrorCode.NOT_FOUND)) throw error;
    });
    await monitor.release(key);
  }
}
