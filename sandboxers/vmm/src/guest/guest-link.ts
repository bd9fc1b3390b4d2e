import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { unavailable } from "@kuasar/framework/error/sandbox-error";
import type { MonitorLink } from "@kuasar/framework/monitor/monitor-calls";
import { type Client, createClient, type Transport } from "ttrpc-ts";
import { nodeTransport } from "ttrpc-ts/node";
import type { AgentAddress } from "../hypervisor/hypervisor.ts";

/** What vmm-task says first on each connection (guest/src/channel.ts). */
const GREETING = "KUASAR-GUEST-1\n";
const GREETING_MS = 1_000;
const CALL_CONNECT_MS = 10_000;
/** A guest notices that a host's process has gone only if the next one leaves it the time. */
const RETRY_MS = 50;
const RETRY_MAX_MS = 1_000;

/** The connection to a pod's machine, made anew when it is lost. */
export interface GuestLink extends MonitorLink {
  /** Waits for the machine to come up. UNAVAILABLE once that has taken longer. */
  reached(timeoutMs: number): Promise<Client>;
  /** The guest is silent: the connection ends, and calls fail at once with UNAVAILABLE and these words, until `heard`. */
  silence(words: string): void;
  heard(): void;
}

export function createGuestLink(address: AgentAddress): GuestLink {
  let client: Client | undefined;
  let connecting: Promise<Client> | undefined;
  let closed = false;
  let silent: string | undefined;

  async function dial(timeoutMs: number): Promise<Client> {
    const until = Date.now() + timeoutMs;
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)) {
      if (closed) throw unavailable(`the machine at ${address.path} is not in use any more`);
      try {
        client = createClient(await dialOnce(address, GREETING_MS));
        return client;
      } catch (error) {
        if (Date.now() >= until) throw unavailable(`the machine at ${address.path} does not answer`, error);
      }
      await sleep(pauseMs);
    }
  }

  function connected(timeoutMs = CALL_CONNECT_MS): Promise<Client> {
    if (client !== undefined && !client.closed) return Promise.resolve(client);
    connecting ??= dial(timeoutMs).finally(() => {
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
    reached: (timeoutMs) => connected(timeoutMs),
    silence(words) {
      silent = words;
      client?.close();
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

/** A connection on which the guest has said that it is there. */
function dialOnce(address: AgentAddress, timeoutMs: number): Promise<Transport> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(address.path);
    let got = Buffer.alloc(0);
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`no greeting within ${timeoutMs} ms`)), timeoutMs);
    const onData = (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
      const expected = Buffer.from(GREETING).subarray(0, got.length);
      if (!got.subarray(0, expected.length).equals(expected)) return fail(new Error("something else than a greeting"));
      if (got.length < GREETING.length) return;
      clearTimeout(timer);
      for (const [event, listener] of [
        ["data", onData],
        ["error", fail],
        ["close", onClose],
      ] as const)
        socket.off(event, listener);
      socket.pause();
      resolve(nodeTransport(socket, got.length > GREETING.length ? got.subarray(GREETING.length) : undefined));
    };
    const onClose = () => fail(new Error("closed before the greeting"));
    socket.on("error", fail).on("close", onClose).on("data", onData);
  });
}
