import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";

/** The error of a write that is not to hold anything up; undefined if there was none. */
export function attempt(write: () => void): unknown {
  try {
    write();
    return undefined;
  } catch (error) {
    return error ?? new Error("a write failed");
  }
}

/** Nobody has called who could be told. */
export function logUnwritten(log: Logger, names: Readonly<Record<string, string>>, error: unknown): void {
  if (error !== undefined) {
    log.error({ ...names, err: errorText(error) }, "what has happened cannot be written down");
  }
}
