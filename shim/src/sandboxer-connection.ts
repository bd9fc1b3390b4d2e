import * as sys from "sys";
import { type Client, Code, createClient, type Metadata, StatusError } from "ttrpc-ts";
import { sleep } from "./platform/loop.ts";
import { connect } from "./platform/unix-socket.ts";
import type { SandboxerChoice } from "./sandboxer-choice.ts";

/** The way to the sandboxer: one connection, made again by itself after the sandboxer was restarted. */
export interface SandboxerConnection {
  readonly choice: SandboxerChoice;
  /** A Task or Sandbox API call, as bytes. */
  call(service: string, method: string, payload: Uint8Array, options?: SandboxerCallOptions): Promise<Uint8Array>;
  /** As call, but again and again until the sandboxer answers: for what must not be missed, such as an exit. */
  callUntilAnswered(service: string, method: string, payload: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

export interface SandboxerCallOptions {
  /** Milliseconds; without it there is no limit. */
  readonly timeoutMs?: number;
  readonly metadata?: Metadata;
  /** Whether the call may be made twice, should the connection break before its answer. */
  readonly repeatable?: boolean;
}

/** How long a call waits for a sandboxer that is being restarted. */
const RESTART_GRACE_MS = 5_000;
const RETRY_MS = 25;
const LAST_RETRY_MS = 1_000;

export function connectSandboxer(choice: SandboxerChoice, metadata: Metadata): SandboxerConnection {
  return new Connection(choice, metadata);
}

class Connection implements SandboxerConnection {
  private client: Client | undefined;
  /** A sandboxer that never answered is missing; one that did is coming back. */
  private answeredOnce = false;

  constructor(
    readonly choice: SandboxerChoice,
    private readonly metadata: Metadata,
  ) {}

  async call(
    service: string,
    method: string,
    payload: Uint8Array,
    options: SandboxerCallOptions = {},
  ): Promise<Uint8Array> {
    const { timeoutMs, repeatable = false } = options;
    const patience = Math.min(RESTART_GRACE_MS, timeoutMs ?? RESTART_GRACE_MS);
    for (let waited = 0; ; waited += RETRY_MS) {
      let sent = false;
      try {
        const client = this.connected();
        sent = true;
        const answer = await client.call(service, method, payload, {
          ...(timeoutMs === undefined ? {} : { timeoutMs }),
          metadata: { ...this.metadata, ...options.metadata },
        });
        this.answeredOnce = true;
        return answer;
      } catch (error) {
        const lost =
          error instanceof StatusError && error.code === Code.UNAVAILABLE && (!sent || this.client?.closed !== false);
        if (!lost || (sent && !repeatable) || !this.answeredOnce || waited >= patience) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  async callUntilAnswered(service: string, method: string, payload: Uint8Array): Promise<Uint8Array> {
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(2 * retryMs, LAST_RETRY_MS)) {
      try {
        return await this.call(service, method, payload, { repeatable: true });
      } catch (error) {
        if (!(error instanceof StatusError && error.code === Code.UNAVAILABLE)) throw error;
        await sleep(retryMs);
      }
    }
  }

  private connected(): Client {
    if (this.client && !this.client.closed) return this.client;
    try {
      this.client = createClient(connect(this.choice.socket));
      return this.client;
    } catch (error) {
      throw notAnswering(this.choice, error);
    }
  }

  close(): void {
    this.client?.close();
  }
}

/** UNAVAILABLE, naming the socket and how to start the sandboxer, unless somebody answers there now. */
export function requireAnswering(choice: SandboxerChoice): void {
  try {
    sys.probe(choice.socket);
  } catch (error) {
    throw notAnswering(choice, error);
  }
}

function notAnswering({ name, socket, hint }: SandboxerChoice, error: unknown): StatusError {
  return new StatusError(
    Code.UNAVAILABLE,
    `the ${name} sandboxer does not answer on ${socket} (${(error as Error).message}); start it with: ${hint}`,
  );
}
