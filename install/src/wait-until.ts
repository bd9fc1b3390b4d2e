import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  /** What is waited for, for the error's text: "containerd's CRI to answer". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  /** Ends the wait early by throwing, where waiting longer is pointless. */
  readonly check?: () => void;
}

/**
 * How many times longer than usual everything may take here: KUASAR_PATIENCE, for emulated machines. It stretches
 * deadlines, so nothing that is waited for changes.
 */
export const patience = Math.max(1, Number(process.env.KUASAR_PATIENCE) || 1);

/**
 * Asks again and again until the answer is neither undefined nor false.
 *
 * @throws when the time is over; the cause is the last error `probe` threw, if it did.
 */
export async function waitUntil<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions,
): Promise<T> {
  const timeoutMs = options.timeoutMs * patience;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    options.check?.();
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      const reason = cause instanceof Error ? `: ${cause.message}` : "";
      throw new Error(`waited ${timeoutMs} ms for ${options.what}${reason}`, { cause });
    }
    await sleep(options.intervalMs ?? 20);
  }
}
