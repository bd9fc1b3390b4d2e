import { setTimeout as sleep } from "node:timers/promises";
import { unavailable } from "@kuasar/framework/error/sandbox-error";
import type { MonitorLink } from "@kuasar/framework/monitor/monitor-calls";
import { type Client, createClient } from "ttrpc-ts";
import type { AgentAddress } from "../hypervisor/hypervisor.ts";
import { dialGuest } from "./dial-guest.ts";

const GREETING_MS = 1_000;
const CALL_CONNECT_MS = 10_000;
/** A guest notices that a host's process has gone only if the next one leaves it the time. */
const RETRY_MS = 50;
const RETRY_MAX_MS = 1_000;
/** Of a hybrid vsock, which refuses at once until the guest listens: that is when it has booted. */
const VSOCK_RETRY_MS = 25;

/** The connection to a pod's machine, made anew when it is lost. */
export interface GuestLink extends MonitorLink {
  /**
   * Waits for the guest. UNAVAILABLE once that has taken longer. One that boots greets when it is there: no moment is lost
   * by asking again.
   */
  reached(timeoutMs: number, isBooting?: boolean): Promise<Client>;
  /** The guest is silent: the connection ends, and calls fail at once with UNAVAILABLE and these words, until `heard`. */
  silence(words: string): void;
  heard(): void;
}

export function createGuestLink(address: AgentAddress): GuestLink {
  let client: Client | undefined;
  let connecting: Promise<Client> | undefined;
  let closed = false;
  let silent: string | undefined;

  async function dial(timeoutMs: number, greetingMs: number): Promise<Client> {
    const until = Date.now() + timeoutMs;
    const [first, most] = address.kind === "unix" ? [RETRY_MS, RETRY_MAX_MS] : [VSOCK_RETRY_MS, VSOCK_RETRY_MS];
    for (let pauseMs = first; ; pauseMs = Math.min(2 * pauseMs, most)) {
      if (closed) throw unavailable(`the machine at ${address.path} is not in use any more`);
      try {
        client = createClient(await dialGuest(address, greetingMs));
        // Whoever closed the link meanwhile found none to close.
        if (closed) client.close();
        return client;
      } catch (error) {
        if (Date.now() >= until) throw unavailable(`the machine at ${address.path} does not answer`, error);
      }
      await sleep(pauseMs);
    }
  }

  function connected(timeoutMs = CALL_CONNECT_MS, greetingMs = GREETING_MS): Promise<Client> {
    if (client !== undefined && !client.closed) return Promise.resolve(client);
    connecting ??= dial(timeoutMs, greetingMs).finally(() => {
      connecting = undefined;
    });
    return connecting;
  }

  return {
    address: `unix://${address.path}`,
    async connected() {
      if (silent !== undefined) throw unavailable(silent);
      return await connected();
    },
    reached: (timeoutMs, isBooting = false) => connected(timeoutMs, isBooting ? timeoutMs : GREETING_MS),
    silence(words) {
      silent = words;
      client?.close(unavailable(words));
    },
    heard() {
      silent = undefined;
    },
    // Whether the machine lives is said by who watches the hypervisor.
    lost: false,
    gone: new Promise(() => {}),
    get closed() {
      return closed;
    },
    async probe() {
      await connected();
    },
    close() {
      closed = true;
      client?.close();
    },
  };
}
