import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient } from "ttrpc-ts";
import { connect } from "ttrpc-ts/node";
import { ErrorCode, errno, errorText, SandboxError, unavailable } from "../error/sandbox-error.ts";
import { createDeferred } from "../sandbox/deferred.ts";
import type { Monitor } from "./monitor.ts";
import { createMonitorCalls, type MonitorLink } from "./monitor-calls.ts";

const CONNECT_TIMEOUT_MS = 5_000;
// A monitor listens from before its address is known until it dies, so a refusal is nearly proof of its death.
const REFUSALS_UNTIL_LOST = 3;
const RETRY_MS = 50;

/** A monitor at `unix:///path`. Connects at the first call, and again whenever the connection was lost. */
export function createMonitorClient(address: string): Monitor {
  return createMonitorCalls(linkTo(address));
}

function linkTo(address: string): MonitorLink {
  const path = socketPath(address);
  let client: Client | undefined;
  let connecting: Promise<Client> | undefined;
  let lost = false;
  let closed = false;
  const gone = createDeferred<void>();

  function lose(): void {
    lost = true;
    if (!closed) {
      gone.resolve();
    }
  }

  // A connection that breaks is the first sign of a monitor's death.
  function adoptConnection(next: Client): Client {
    client = next;
    next.onClose = () => {
      if (!closed && !lost) {
        warmUp();
      }
    };
    return next;
  }

  function warmUp(): void {
    // Whoever calls next meets the same error.
    Promise.resolve(connected()).catch(() => {});
  }

  function connected(): Client | Promise<Client> {
    if (client !== undefined && !client.closed) {
      return client;
    }
    connecting ??= reconnect().finally(() => {
      connecting = undefined;
    });
    return connecting;
  }

  async function reconnect(): Promise<Client> {
    for (let attempt = 1; ; attempt++) {
      if (closed || lost) {
        throw unavailable(`the monitor at ${address} is ${closed ? "not in use any more" : "gone"}`);
      }
      try {
        const next = adoptConnection(createClient(await connect(path, { timeoutMs: CONNECT_TIMEOUT_MS })));
        if (closed) {
          next.close();
        }
        return next;
      } catch (error) {
        if (isRefusal(error) && attempt >= REFUSALS_UNTIL_LOST) {
          lose();
        } else if (attempt >= REFUSALS_UNTIL_LOST) {
          throw unavailable(`the monitor at ${address} does not answer: ${errorText(error)}`, error);
        }
      }
      await sleep(RETRY_MS);
    }
  }

  return {
    address,
    connected,
    gone: gone.promise,

    get lost() {
      return lost;
    },

    get closed() {
      return closed;
    },

    async probe() {
      try {
        (await connect(path, { timeoutMs: CONNECT_TIMEOUT_MS })).close();
      } catch (error) {
        if (isRefusal(error)) {
          lose();
          client?.close();
        }
      }
    },

    close() {
      closed = true;
      client?.close();
    },
  };
}

/** The path in `unix:///path`; a bare path is taken as well. INVALID_ARGUMENT for anything else. */
export function socketPath(address: string): string {
  const path = address.startsWith("unix://") ? address.slice("unix://".length) : address;
  if (!path.startsWith("/")) {
    throw new SandboxError(ErrorCode.INVALID_ARGUMENT, `expected unix:///path as a monitor's address, got ${address}`);
  }
  return path;
}

function isRefusal(error: unknown): boolean {
  const code = errno(error) ?? errno((error as { cause?: unknown } | null)?.cause);
  return code === "ECONNREFUSED" || code === "ENOENT";
}
