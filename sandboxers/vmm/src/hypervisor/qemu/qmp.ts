import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { ErrorCode, errorText, SandboxError, unavailable } from "@kuasar/framework/error/sandbox-error";
import { isJsonObject, type JsonObject } from "@kuasar/framework/store/json";
import { dialUnlinked } from "../../machine/dial-unlinked.ts";

const TIMEOUT_MS = 10_000;

/** A connection to a machine's control, on which commands are run one after another. */
export interface Qmp {
  /** Answers with what the command returns. Throws QmpError if QEMU refuses it. */
  run(command: string, args?: JsonObject): Promise<unknown>;
  /** Answers when such an event comes from now on. */
  event(name: string, matches: (data: JsonObject) => boolean): Promise<void>;
}

/** QEMU's own words for a command that it refuses. */
export class QmpError extends SandboxError {
  constructor(
    command: string,
    readonly description: string,
  ) {
    super(ErrorCode.INTERNAL, `QEMU refuses ${command}: ${description}`);
  }
}

export async function runQmp(socket: string, command: string): Promise<void> {
  await openQmp(socket, (qmp) => qmp.run(command));
}

/**
 * Does some work on a connection of its own to QEMU's control socket, which serves one connection after another.
 * UNAVAILABLE if QEMU is gone, or is not done with all of it in time.
 * https://www.qemu.org/docs/master/interop/qmp-spec.html
 */
export async function openQmp<T>(socket: string, work: (qmp: Qmp) => Promise<T>): Promise<T> {
  const connection = dial(socket);
  /** Who waits, and for which message. */
  const waiters = new Set<{ take(message: JsonObject): void; fail(error: Error): void }>();
  let failure: Error | undefined;
  const end = (error: Error) => {
    failure ??= error;
    for (const { fail } of waiters) fail(failure);
    connection.destroy();
  };
  const timer = setTimeout(() => end(unavailable(`QEMU does not answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  connection.on("error", (error) => end(unavailable(`QEMU's control socket: ${error.message}`, error)));
  connection.on("close", () => end(unavailable("QEMU has closed its control socket")));
  createInterface({ input: connection }).on("line", (line) => {
    try {
      const message: unknown = JSON.parse(line);
      for (const { take } of waiters) if (isJsonObject(message)) take(message);
    } catch (error) {
      end(unavailable(`QEMU's control socket: ${errorText(error)}`, error));
    }
  });

  function awaited<M>(found: (message: JsonObject) => M | undefined): Promise<M> {
    const promise = new Promise<M>((resolve, reject) => {
      if (failure) return reject(failure);
      const waiter = {
        take(message: JsonObject) {
          const value = found(message);
          if (value === undefined) return;
          waiters.delete(waiter);
          resolve(value);
        },
        fail: reject,
      };
      waiters.add(waiter);
    });
    // Who asked may have failed in the meantime, and waits no more.
    promise.catch(() => {});
    return promise;
  }

  async function run(execute: string, args?: JsonObject): Promise<unknown> {
    const answer = awaited((message) => (message.id === execute ? message : undefined));
    connection.write(`${JSON.stringify({ execute, id: execute, ...(args && { arguments: args }) })}\n`);
    const { error, return: returned } = await answer;
    if (error !== undefined) throw new QmpError(execute, isJsonObject(error) ? String(error.desc) : String(error));
    return returned;
  }

  try {
    await awaited((message) => ("QMP" in message ? message : undefined));
    await run("qmp_capabilities");
    return await work({
      run,
      async event(name, matches) {
        await awaited(({ event, data }) => (event === name && isJsonObject(data) && matches(data) ? true : undefined));
      },
    });
  } finally {
    clearTimeout(timer);
    connection.destroy();
  }
}

function dial(socket: string): Socket {
  try {
    return dialUnlinked(socket);
  } catch (error) {
    throw unavailable(`QEMU's control socket: ${errorText(error)}`, error);
  }
}
