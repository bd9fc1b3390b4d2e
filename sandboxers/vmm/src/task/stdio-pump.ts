import { closeSync, constants, mkdirSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, errorText, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { TaskIo } from "@kuasar/framework/task/task-record";
import type { Guest } from "../guest/guest.ts";
import { createCounter } from "./byte-counter.ts";
import { copyInput, forgetEnd } from "./copy-input.ts";
import { createLastAnswers } from "./last-answers.ts";

const RETRY_MS = 200;
/** Once its process has ended: for each answer, and all that there can be in the guest (guest/src/guest-io.ts) and more. */
const LAST_ANSWER_MS = 10_000;
const LAST_BYTES = 1024 * 1024;

/** Copies between a process's FIFOs on the host and its stdio in the guest. */
export interface StdioPump {
  /** Settles when all that the process wrote is in the host's FIFOs. */
  readonly drained: Promise<void>;
  /** The client does not read what there is for it. */
  readonly isStalled: boolean;
  /** The process has ended: what else comes has a bound, whatever the guest says, or another process that has its stdio. */
  ending(): void;
  /** End of input, once what is in the host's FIFO now is in the guest; nobody waits for a process that does not read. */
  closeStdin(): void;
  /** Stops; another pump may go on. */
  close(): void;
}

export interface StdioPumpParts {
  readonly guest: Guest;
  readonly key: string;
  readonly io: TaskIo;
  /** Where it is kept how much of each stream has been copied: a pump of a later process of this sandboxer goes on there. */
  readonly progress: string;
  readonly log: Logger;
}

export function startStdioPump({ guest, key, io, progress, log }: StdioPumpParts): StdioPump {
  let closed = false;
  let ended = false;
  let writing = 0;
  const answers = createLastAnswers(LAST_ANSWER_MS);
  const opened: Socket[] = [];
  /** Undefined for a FIFO that its client has taken away: this may be after a restart, and the process runs on. */
  const open = (path: string, how: "read" | "write") => {
    try {
      const fifo = openFifo(path, how);
      // Whoever reads or writes is told as well.
      fifo.socket.on("error", (error) => log.debug({ key, path, err: errorText(error) }, "a FIFO fails"));
      opened.push(fifo.socket);
      return fifo;
    } catch (error) {
      log.warn({ key, path, err: errorText(error) }, "a client of a process in a machine has gone");
      return undefined;
    }
  };

  async function copyOut(fd: 1 | 2, path: string): Promise<void> {
    const copied = createCounter(`${progress}.${fd}`);
    const socket = open(path, "write")?.socket;
    try {
      for (let ended = false; !ended; ) {
        try {
          await copyPieces(fd, socket, copied);
          ended = true;
        } catch (error) {
          // The guest keeps what was not acknowledged, for the next connection.
          if (closed || guest.closed || !isCode(error, ErrorCode.UNAVAILABLE)) throw error;
          await sleep(RETRY_MS);
        }
      }
    } catch (error) {
      if (!closed && !isCode(error, ErrorCode.NOT_FOUND)) {
        log.warn({ key, path, err: errorText(error) }, "output of a process in a machine is lost");
      }
    } finally {
      copied.close();
      socket?.destroy();
    }
  }

  /** Without a client it is read all the same: the process is not to wait for ever. */
  async function copyPieces(
    fd: 1 | 2,
    socket: Socket | undefined,
    copied: ReturnType<typeof createCounter>,
  ): Promise<void> {
    let from = copied.value;
    const read = () => {
      const piece = guest.readOutput(key, fd, copied.value, from);
      piece.catch(() => {});
      return piece;
    };
    let lastBytes = 0;
    for (let next = read(), last = false; !last; ) {
      const { data, end } = await answers.wait(next);
      from += data.length;
      if (ended) lastBytes += data.length;
      last = end || lastBytes > LAST_BYTES;
      // Nothing is no answer; a guest that gives it is not asked at once.
      if (data.length === 0 && !last) await sleep(RETRY_MS);
      // The next piece comes while this one is written.
      if (!last) next = read();
      if (socket && data.length > 0) await write(socket, data);
      copied.add(data.length);
    }
  }

  async function write(socket: Socket, data: Uint8Array): Promise<void> {
    writing++;
    try {
      await written(socket, data);
    } finally {
      writing--;
    }
  }

  function openInput(path: string) {
    const fifo = open(path, "read");
    if (!fifo) return undefined;
    const { fd, socket } = fifo;
    const copied = createCounter(`${progress}.0`);
    const input = copyInput(guest, key, fd, socket, copied, endOf(progress));
    input.done
      // A process that reads no more, or has ended: what is typed is of no use to anybody.
      .catch((error) => log.debug({ key, err: errorText(error) }, "input of a process in a machine ends"))
      .finally(() => {
        copied.close();
        socket.destroy();
      });
    return input;
  }

  mkdirSync(dirname(progress), { recursive: true, mode: 0o700 });
  const outputs = [
    [1, io.stdout],
    [2, io.terminal ? "" : io.stderr],
  ] as const;
  const drained = Promise.all(outputs.map(([fd, path]) => (path === "" ? undefined : copyOut(fd, path))));
  const input = io.stdin === "" ? undefined : openInput(io.stdin);
  return {
    drained: drained.then(() => {}),
    get isStalled() {
      return writing > 0;
    },
    ending() {
      ended = true;
      answers.begin();
    },
    closeStdin: () => input?.end(),
    close() {
      closed = true;
      for (const socket of opened) socket.destroy();
    },
  };
}

/** Forgets how far the streams of a process have been copied. */
export function forgetProgress(progress: string): void {
  for (const fd of [0, 1, 2]) rmSync(`${progress}.${fd}`, { force: true });
  forgetEnd(endOf(progress));
}

const endOf = (progress: string) => `${progress}.0.end`;

/** With both ends, so that no client's coming or going is taken for an end. */
function openFifo(path: string, how: "read" | "write"): { fd: number; socket: Socket } {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    return { fd, socket: new Socket({ fd, readable: how === "read", writable: how === "write" }) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function written(socket: Socket, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket.write(data, (error) => (error ? reject(error) : resolve())));
}
