import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, errorText, failedPrecondition, SandboxError } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import { machineEnd } from "./machine-end.ts";
import { lastWords, postMortem } from "./post-mortem.ts";

export interface BootLimits {
  readonly timeoutMs: number;
  /** Aborts when the machine is not wanted any more. */
  readonly signal: AbortSignal;
}

/**
 * Waits for `ready`, which is the guest's own answer, for as long as the machine runs and there is time. DEADLINE_EXCEEDED
 * or FAILED_PRECONDITION, with what was last heard of the machine, whose logs are in `directory`.
 */
export async function awaitBoot<T>(
  monitor: Monitor,
  ready: Promise<T>,
  { timeoutMs, signal }: BootLimits,
  directory: string,
): Promise<T> {
  const over = new AbortController();
  const ended = machineEnd(monitor).then(async (end) => {
    throw failedPrecondition(`the machine did not come up: ${await postMortem(end, directory)}`);
  });
  const late = sleep(timeoutMs, undefined, { signal: over.signal }).then(async () => {
    const said = await lastWords(directory);
    throw new SandboxError(ErrorCode.DEADLINE_EXCEEDED, `the machine did not come up within ${timeoutMs} ms${said}`);
  });
  const unwanted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(notWanted()), { signal: over.signal });
  });
  const answered = ready.catch(async (error: unknown) => {
    const said = await lastWords(directory);
    throw failedPrecondition(`the machine did not come up: ${errorText(error)}${said}`);
  });
  // Whichever is second tells nobody.
  for (const each of [ended, late, unwanted, answered]) each.catch(() => {});
  try {
    if (signal.aborted) throw notWanted();
    return await Promise.race([answered, ended, late, unwanted]);
  } finally {
    over.abort();
  }
}

export function notWanted(): SandboxError {
  return new SandboxError(ErrorCode.CANCELLED, "the machine was to end before it had come up");
}
