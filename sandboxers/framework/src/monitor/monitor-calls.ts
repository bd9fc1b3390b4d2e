import { setTimeout as sleep } from "node:timers/promises";
import { kuasar } from "@kuasar/proto/containerd";
import type { MessageType } from "@kuasar/proto/message-type";
import { type Client, StatusError } from "ttrpc-ts";
import { ErrorCode, errorText, isCode, isErrorCode, SandboxError } from "../error/sandbox-error.ts";
import { type Exit, now } from "../sandbox/exit.ts";
import type { Monitor } from "./monitor.ts";

const wire = kuasar.monitor.v1;
const SERVICE = "kuasar.monitor.v1.Monitor";

const CALL_TIMEOUT_MS = 10_000;
// A log driver may take 10 s until it is ready (log-driver.ts).
const LOG_TIMEOUT_MS = 15_000;
// Mounts may wait for a disk.
const MOUNT_TIMEOUT_MS = 60_000;
const RETRY_MS = 50;
const RETRY_MAX_MS = 2_000;
// The monitor enforces the limit on a command; this side waits for it to say so.
const RUN_GRACE_MS = 5_000;
/** Characters of an error's text. */
const MESSAGE_MAX = 8_192;

/** How a monitor is reached. */
export interface MonitorLink {
  /** For error texts. */
  readonly address: string;
  /** True once nobody has answered for so long that nobody will. */
  readonly lost: boolean;
  /** Settles once the link is lost, which is noticed without a call; never after `close`. */
  readonly gone: Promise<void>;
  /** Set by `close`. */
  readonly closed: boolean;
  /** The connection; a promise of it where it has to be made anew. UNAVAILABLE while nobody answers. */
  connected(): Client | Promise<Client>;
  /** Looks now whether anybody answers; if not, the monitor is lost from here on. */
  probe(): Promise<void>;
  close(): void;
}

/** The monitor at the other end of a link. */
export function createMonitorCalls(link: MonitorLink): Monitor {
  async function call<F, M>(
    method: string,
    request: MessageType<F, unknown>,
    fields: F,
    response: { decode(bytes: Uint8Array): M },
    timeoutMs: number | undefined,
  ): Promise<M> {
    // Where there is a connection the request is on its way before this function comes back.
    const connected = link.connected();
    const to = connected instanceof Promise ? await connected : connected;
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
    address: link.address,
    gone: link.gone,

    get lost() {
      return link.lost;
    },

    warmUp() {
      // Whoever calls next meets the same error.
      Promise.resolve(link.connected()).catch(() => {});
    },

    probe: () => link.probe(),

    async spawn(request) {
      const { pid } = await call("Spawn", wire.SpawnRequest, request, wire.SpawnResponse, MOUNT_TIMEOUT_MS);
      return pid;
    },

    proceed: (key) => call("Continue", wire.ContinueRequest, { key }, empty, CALL_TIMEOUT_MS),

    async run(request) {
      const limit = request.timeoutMs === 0 ? undefined : request.timeoutMs + RUN_GRACE_MS;
      return await call("Run", wire.RunRequest, request, wire.RunResponse, limit);
    },

    cancel: (owner) => ifKnown(call("Cancel", wire.CancelRequest, { owner }, empty, CALL_TIMEOUT_MS)),
    reportOom: (id, kills) => ifKnown(call("ReportOom", wire.ReportOomRequest, { id, kills }, empty, CALL_TIMEOUT_MS)),

    async wait(key) {
      for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS)) {
        const began = Date.now();
        try {
          const answer = await call("Wait", wire.WaitRequest, { key }, wire.WaitResponse, undefined);
          return { pid: answer.pid, exit: exitOf(answer) };
        } catch (error) {
          if (!isCode(error, ErrorCode.UNAVAILABLE) || link.lost || link.closed) {
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
    hold: (key, fifos) => call("Hold", wire.HoldRequest, { key, fifos }, empty, CALL_TIMEOUT_MS),
    openLog: (key, log) => call("OpenLog", wire.OpenLogRequest, { key, ...log }, empty, LOG_TIMEOUT_MS),
    serveVsock: (key, path, cid) =>
      call("ServeVsock", wire.ServeVsockRequest, { key, path, cid }, empty, CALL_TIMEOUT_MS),
    release: (key) => call("Release", wire.ReleaseRequest, { key }, empty, CALL_TIMEOUT_MS),
    forward: (key, network, socket) =>
      call("Forward", wire.ForwardRequest, { key, network, socket }, empty, CALL_TIMEOUT_MS),
    mount: (mounts, target) => call("Mount", wire.MountRequest, { mounts, target }, empty, MOUNT_TIMEOUT_MS),
    unmount: (target) => call("Unmount", wire.UnmountRequest, { target }, empty, MOUNT_TIMEOUT_MS),

    close: () => link.close(),
  };
}

/** What an older monitor does not know, it does without. */
async function ifKnown(done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!isCode(error, ErrorCode.UNIMPLEMENTED)) {
      throw error;
    }
  }
}

function exitOf({ exitStatus, exitedAt }: { exitStatus: number; exitedAt?: Exit["at"] | null | undefined }): Exit {
  return { status: exitStatus, at: exitedAt ? { seconds: exitedAt.seconds, nanos: exitedAt.nanos } : now() };
}

/** The same code and text, as this program's own error. Both may have been made up by the guest of a virtual machine. */
export function asSandboxError(error: unknown): SandboxError {
  if (error instanceof StatusError && error.code !== 0) {
    const code = isErrorCode(error.code) ? error.code : ErrorCode.UNKNOWN;
    return new SandboxError(code, error.message.slice(0, MESSAGE_MAX), { cause: error });
  }
  return new SandboxError(ErrorCode.INTERNAL, errorText(error), { cause: error });
}
