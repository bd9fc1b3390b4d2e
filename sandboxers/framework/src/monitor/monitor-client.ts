import { setTimeout as sleep } from "node:timers/promises";
import { kuasar } from "@kuasar/proto/containerd";
import type { MessageType } from "@kuasar/proto/message-type";
import { type Client, createClient, StatusError } from "ttrpc-ts";
import { connect } from "ttrpc-ts/node";
import { ErrorCode, errno, errorText, isCode, SandboxError, unavailable } from "../error/sandbox-error.ts";
import { createDeferred } from "../sandbox/deferred.ts";
import { type Exit, now } from "../sandbox/exit.ts";
import type { Monitor } from "./monitor.ts";

const wire = kuasar.monitor.v1;
const SERVICE = "kuasar.monitor.v1.Monitor";

const CALL_TIMEOUT_MS = 10_000;
// Mounts may wait for a disk.
const MOUNT_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;
// A monitor listens from before its address is known until it dies, so a refusal is nearly proof of its death.
const REFUSALS_UNTIL_LOST = 3;
const RETRY_MS = 50;
const RETRY_MAX_MS = 2_000;
// The monitor enforces the limit on a command; this side waits for it to say so.
const RUN_GRACE_MS = 5_000;

/** A monitor at `unix:///path`. Connects at the first call, and again whenever the connection was lost. */
export function createMonitorClient(address: string): Monitor {
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
    connected().catch(() => {});
  }

  async function connected(): Promise<Client> {
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

  async function call<F, M>(
    method: string,
    request: MessageType<F, unknown>,
    fields: F,
    response: { decode(bytes: Uint8Array): M },
    timeoutMs: number | undefined,
  ): Promise<M> {
    const to = await connected();
    let answer: Uint8Array;
    try {
      answer = await to.call(SERVICE, method, request.encode(fields), { timeoutMs });
    } catch (error) {
      throw asSandboxError(error);
    }
    return response.decode(answer);
  }

  // The answer is nothing, whatever bytes it has.
  const empty = { decode: () => undefined };

  return {
    address,

    get lost() {
      return lost;
    },

    gone: gone.promise,
    warmUp,

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

    async spawn(request) {
      const { pid } = await call("Spawn", wire.SpawnRequest, request, wire.SpawnResponse, MOUNT_TIMEOUT_MS);
      return pid;
    },

    proceed: (key) => call("Continue", wire.ContinueRequest, { key }, empty, CALL_TIMEOUT_MS),

    async run(request) {
      const limit = request.timeoutMs === 0 ? undefined : request.timeoutMs + RUN_GRACE_MS;
      return await call("Run", wire.RunRequest, request, wire.RunResponse, limit);
    },

    async cancel(owner) {
      try {
        await call("Cancel", wire.CancelRequest, { owner }, empty, CALL_TIMEOUT_MS);
      } catch (error) {
        if (!isCode(error, ErrorCode.UNIMPLEMENTED)) {
          throw error;
        }
      }
    },

    async wait(key) {
      for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS)) {
        const began = Date.now();
        try {
          const answer = await call("Wait", wire.WaitRequest, { key }, wire.WaitResponse, undefined);
          return { pid: answer.pid, exit: exitOf(answer) };
        } catch (error) {
          if (!isCode(error, ErrorCode.UNAVAILABLE) || lost || closed) {
            throw error;
          }
          if (Date.now() - began > RETRY_MAX_MS) {
            pauseMs = RETRY_MS;
          }
        }
        await sleep(pauseMs);
      }
    },

    async list() {
      const { processes } = await call("List", wire.ListRequest, {}, wire.ListResponse, CALL_TIMEOUT_MS);
      return processes.map((process) => ({
        key: process.key,
        pid: process.pid,
        ...(process.exited && { exit: exitOf(process) }),
      }));
    },

    signal: (key, signal) => call("Signal", wire.SignalRequest, { key, signal }, empty, CALL_TIMEOUT_MS),
    adopt: (key, pid, startTime) => call("Adopt", wire.AdoptRequest, { key, pid, startTime }, empty, CALL_TIMEOUT_MS),
    resize: (key, width, height) => call("Resize", wire.ResizeRequest, { key, width, height }, empty, CALL_TIMEOUT_MS),
    closeStdin: (key) => call("CloseStdin", wire.CloseStdinRequest, { key }, empty, CALL_TIMEOUT_MS),
    release: (key) => call("Release", wire.ReleaseRequest, { key }, empty, CALL_TIMEOUT_MS),
    mount: (mounts, target) => call("Mount", wire.MountRequest, { mounts, target }, empty, MOUNT_TIMEOUT_MS),
    unmount: (target) => call("Unmount", wire.UnmountRequest, { target }, empty, MOUNT_TIMEOUT_MS),

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

function exitOf({ exitStatus, exitedAt }: { exitStatus: number; exitedAt?: Exit["at"] | null | undefined }): Exit {
  return { status: exitStatus, at: exitedAt ? { seconds: exitedAt.seconds, nanos: exitedAt.nanos } : now() };
}

function asSandboxError(error: unknown): SandboxError {
  if (error instanceof StatusError && error.code !== 0) {
    return new SandboxError(error.code as ErrorCode, error.message, { cause: error });
  }
  return new SandboxError(ErrorCode.INTERNAL, errorText(error), { cause: error });
}

function isRefusal(error: unknown): boolean {
  const code = errno(error) ?? errno((error as { cause?: unknown } | null)?.cause);
  return code === "ECONNREFUSED" || code === "ENOENT";
}
