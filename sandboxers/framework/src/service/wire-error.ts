import { type CallContext, Code, StatusError } from "ttrpc-ts";
import { errorText, SandboxError } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";

type Handler<I, O> = (request: I, context: CallContext) => O | Promise<O>;

/** Wraps the methods of a service so that what they throw reaches the wire as a status, and is logged. */
export function answering(
  log: Logger,
): <I, O>(handler: Handler<I, O>) => (request: I, call: CallContext) => Promise<O> {
  return (handler) => async (request, call) => {
    const began = performance.now();
    try {
      const answer = await handler(request, call);
      log.debug({ method: call.method, ms: elapsed(began) }, "answered");
      return answer;
    } catch (error) {
      throw toStatus(error, call.method, elapsed(began), log);
    }
  };
}

/** The same for a method that answers with a stream. */
export function answeringStream(
  log: Logger,
): <I, O>(
  handler: (request: I, call: CallContext) => AsyncIterable<O>,
) => (request: I, call: CallContext) => AsyncIterable<O> {
  return (handler) =>
    async function* (request, call) {
      const began = performance.now();
      try {
        yield* handler(request, call);
      } catch (error) {
        throw toStatus(error, call.method, elapsed(began), log);
      }
    };
}

function toStatus(error: unknown, method: string, ms: number, log: Logger): StatusError {
  if (error instanceof SandboxError) {
    log.info({ method, ms, code: error.code, err: error.message }, "refused");
    return new StatusError(error.code, error.message, { cause: error });
  }
  if (error instanceof StatusError) {
    return error;
  }
  log.error({ method, ms, err: error instanceof Error ? error.stack : String(error) }, "failed");
  return new StatusError(Code.INTERNAL, errorText(error), { cause: error });
}

function elapsed(began: number): number {
  return Math.round((performance.now() - began) * 100) / 100;
}
