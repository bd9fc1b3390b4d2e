import type { CallContext } from "ttrpc-ts";

/** What is left of a caller's deadline, in milliseconds, to give to whom the call is handed on. */
export function remaining(context: CallContext): { timeoutMs?: number } {
  return context.deadline === undefined ? {} : { timeoutMs: Math.max(1, context.deadline - Date.now()) };
}
