import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { dirname } from "node:path";
import { ErrorCode, errorText, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { TaskIo } from "@kuasar/framework/task/task-record";
import type { Guest } from "../guest/guest.ts";

const CHUNK_BYTES = 256 * 1024;
const OFFSET_BYTES = 8;

/** Copies between a process's FIFOs on the host and its stdio in the guest. */
export interface StdioPump {
  /** Settles when all that the process wrote is in the host's FIFOs. */
  readonly drained: Promise<void>;
  /** End of input, once what has been read of it is in the guest. */
  closeStdin(): Promise<void>;
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
  const opened: Socket[] = [];
  const open = (path: string, how: "read" | "write") => {
    const socket = openFifo(path, how);
    opened.push(socket);
    return socket;
  };

  async function copyOut(fd: 1 | 2, path: string): Promise<void> {
    const copied = createCounter(`${progress}.${fd}`);
    const socket = open(path, "write");
    try {
      for (let ended = false; !ended; ) {
        const { data, end } = await guest.readOutput(key, fd, copied.value, CHUNK_BYTES);
        if (data.length > 0) await written(socket, data);
        copied.add(data.length);
        ended = end;
      }
    } catch (error) {
      if (!closed && !isCode(error, ErrorCode.NOT_FOUND)) {
        log.warn({ key, path, err: errorText(error) }, "output of a process in a machine is lost");
      }
    } finally {
      copied.close();
      socket.destroy();
    }
  }

  async function copyIn(socket: Socket): Promise<void> {
    const copied = createCounter(`${progress}.0`);
    try {
      for await (const data of socket as AsyncIterable<Buffer>) {
        await guest.writeInput(key, copied.value, data);
        copied.add(data.length);
      }
    } catch (error) {
      // A process that reads no more, or has ended: what is typed is of no use to anybody.
      if (!closed) log.debug({ key, err: errorText(error) }, "input of a process in a machine ends");
    } finally {
      copied.close();
    }
  }

  mkdirSync(dirname(progress), { recursive: true, mode: 0o700 });
  const outputs = [
    [1, io.stdout],
    [2, io.terminal ? "" : io.stderr],
  ] as const;
  const drained = Promise.all(outputs.map(([fd, path]) => (path === "" ? undefined : copyOut(fd, path))));
  const input = io.stdin === "" ? undefined : open(io.stdin, "read");
  const inputDone = input === undefined ? Promise.resolve() : copyIn(input);
  return {
    drained: drained.then(() => {}),
    async closeStdin() {
      input?.destroy();
      await inputDone;
      await guest.processes.closeStdin(key);
    },
    close() {
      closed = true;
      for (const socket of opened) socket.destroy();
    },
  };
}

/** Forgets how far the streams of a process have been copied. */
export function forgetProgress(progress: string): void {
  for (const fd of [0, 1, 2]) rmSync(`${progress}.${fd}`, { force: true });
}

/** A number of bytes that outlives this process. */
interface Counter {
  readonly value: number;
  add(bytes: number): void;
  close(): void;
}

function createCounter(path: string): Counter {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  const stored = readFileSync(path);
  const buffer = Buffer.alloc(OFFSET_BYTES);
  let value = stored.length === OFFSET_BYTES ? Number(stored.readBigUInt64LE()) : 0;
  return {
    get value() {
      return value;
    },
    add(bytes) {
      value += bytes;
      buffer.writeBigUInt64LE(BigInt(value));
      writeSync(fd, buffer, 0, OFFSET_BYTES, 0);
    },
    close: () => closeSync(fd),
  };
}

/** With both ends, so that no client's coming or going is taken for an end. */
function openFifo(path: string, how: "read" | "write"): Socket {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    return new Socket({ fd, readable: how === "read", writable: how === "write" });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function written(socket: Socket, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket.write(data, (error) => (error ? reject(error) : resolve())));
}
