import { startTimer, type Timer } from "./cancel.ts";
import { CONCURRENT_CALLS } from "./frame.ts";
import { createServiceSet, type Implementation, type RawHandler } from "./handler.ts";
import { integerWithin, messageLimit } from "./limit.ts";
import type { CallContext } from "./server-call.ts";
import { createServerConnection, type ServerConnection, type ServerHost } from "./server-connection.ts";
import type { ServiceDefinition } from "./service.ts";
import type { Transport } from "./transport.ts";

/** The serving side: any number of services on any number of connections. */
export interface Server {
  /** Offers a service. A method that the implementation lacks is UNIMPLEMENTED, unless a raw handler takes it. */
  register<S extends ServiceDefinition>(service: S, implementation: Implementation<S>): void;
  /** Offers every method of a service, but those registered one by one, in encoded messages. */
  registerRaw(service: string, handler: RawHandler): void;
  /** Serves one connection, which is the server's from then on. */
  serve(transport: Transport): void;
  /**
   * Takes no new calls (they get UNAVAILABLE), waits for the running ones and their answers to be read, and closes.
   * What is left after `graceMs` (default 10 000) is closed as it is.
   */
  shutdown(graceMs?: number): Promise<void>;
  /** Closes every connection now; the signals of running calls abort. */
  close(): void;
  readonly connections: number;
  /** Handlers that have not come back. */
  readonly activeCalls: number;
  /** Called when the last connection has gone and the last handler has come back. */
  onIdle: () => void;
}

export interface ServerOptions {
  /** The longest message, sent or received, its header not counted. Default, and what other peers send: 4 MiB. */
  maxMessageBytes?: number | undefined;
  /** Calls running at a time on one connection; more get RESOURCE_EXHAUSTED. Default: 4096. */
  maxConcurrentCalls?: number | undefined;
  /** Told what no client should have to tell: a handler's fault (with its call), a peer that sent nonsense. */
  onError?: ((error: unknown, context?: CallContext) => void) | undefined;
}

export function createServer(options: ServerOptions = {}): Server {
  return new MultiServer(options);
}

const GRACE_MS = 10_000;

class MultiServer implements Server, ServerHost {
  onIdle: () => void = () => {};
  readonly services = createServiceSet();
  readonly maxMessageBytes: number;
  readonly maxConcurrentCalls: number;
  stopping = false;
  activeCalls = 0;
  readonly #onError: ServerOptions["onError"];
  readonly #connections = new Set<ServerConnection>();
  #shutdown: Promise<void> | undefined;
  #finished: (() => void) | undefined;

  constructor(options: ServerOptions) {
    const { maxMessageBytes, maxConcurrentCalls = CONCURRENT_CALLS, onError } = options;
    this.maxMessageBytes = messageLimit(maxMessageBytes);
    this.maxConcurrentCalls = integerWithin("maxConcurrentCalls", maxConcurrentCalls, 1, Number.MAX_SAFE_INTEGER);
    this.#onError = onError;
  }

  get connections(): number {
    return this.#connections.size;
  }

  register<S extends ServiceDefinition>(service: S, implementation: Implementation<S>): void {
    this.services.register(service, implementation);
  }

  registerRaw(service: string, handler: RawHandler): void {
    this.services.registerRaw(service, handler);
  }

  serve(transport: Transport): void {
    if (this.stopping) {
      transport.close();
      return;
    }
    this.#connections.add(createServerConnection(transport, this));
  }

  shutdown(graceMs: number = GRACE_MS): Promise<void> {
    this.#shutdown ??= this.#drain(graceMs);
    return this.#shutdown;
  }

  close(): void {
    this.stopping = true;
    for (const connection of this.#connections) {
      connection.close();
    }
    this.#finished?.();
  }

  report(error: unknown, context?: CallContext): void {
    const onError = this.#onError;
    if (onError !== undefined) {
      later(() => onError(error, context));
    }
  }

  callStarted(): void {
    this.activeCalls++;
  }

  callEnded(): void {
    this.activeCalls--;
    this.#checkIdle();
  }

  connectionClosed(connection: ServerConnection): void {
    this.#connections.delete(connection);
    this.#checkIdle();
  }

  async #drain(graceMs: number): Promise<void> {
    this.stopping = true;
    for (const connection of this.#connections) {
      connection.drain();
    }
    if (this.#idle) {
      return;
    }
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#finished = resolve;
      if (graceMs !== Number.POSITIVE_INFINITY) {
        timer = startTimer(graceMs, () => this.close());
      }
    });
    timer?.cancel();
  }

  get #idle(): boolean {
    return this.#connections.size === 0 && this.activeCalls === 0;
  }

  #checkIdle(): void {
    if (this.#idle) {
      this.#finished?.();
      later(() => this.onIdle());
    }
  }
}

/** Calls back out of turn: a callback that throws must not cut short what called it. */
function later(callback: () => void): void {
  void Promise.resolve().then(callback);
}
