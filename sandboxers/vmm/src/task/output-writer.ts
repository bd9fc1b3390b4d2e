import { closeSync, constants, openSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { Socket } from "node:net";
import { errno } from "@kuasar/framework/error/sandbox-error";
import type { OutputTarget } from "./output-targets.ts";

/** PIPE_BUF of pipe(7): so much is written whole or not at all. */
const ATOMIC_BYTES = 4096;

/** One stream of a process's output on the host. */
export interface OutputWriter {
  /**
   * Waits for a reader that does not read. `took` is told of each part as soon as it is written: of one that goes on after
   * this process has been killed, nothing is written twice.
   */
  write(data: Uint8Array, took: (bytes: number) => void): Promise<void>;
  /** A write that waits fails. */
  close(): void;
}

/** @throws an error of the system's, as `write` does; {@link isReaderGone} tells of a log driver that has ended */
export async function openWriter({ path, kind }: OutputTarget): Promise<OutputWriter> {
  if (kind === "file") return await openFile(path);
  // A client may come and go, and is waited for: with both ends open it is not missed. A driver that has ended is.
  const end = kind === "fifo" ? constants.O_RDWR : constants.O_WRONLY;
  const fd = openSync(path, end | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    return fifoWriter(fd, new Socket({ fd, readable: false, writable: true }));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** There is nobody at the other end of a FIFO, and will not be. */
export const isReaderGone = (error: unknown): boolean => ["EPIPE", "ENXIO"].includes(errno(error) ?? "");

function fifoWriter(fd: number, socket: Socket): OutputWriter {
  // Told by the write that failed.
  socket.on("error", () => {});
  return {
    async write(data, took) {
      for (let at = 0; at < data.length; ) {
        let put = writeNow(fd, data.subarray(at));
        if (put === 0) {
          const part = data.subarray(at, at + ATOMIC_BYTES);
          await written(socket, part);
          put = part.length;
        }
        took(put);
        at += put;
      }
    },
    close: () => socket.destroy(),
  };
}

/** 0 while there is no room. */
function writeNow(fd: number, data: Uint8Array): number {
  try {
    return writeSync(fd, data);
  } catch (error) {
    if (errno(error) === "EAGAIN") return 0;
    throw error;
  }
}

function written(socket: Socket, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket.write(data, (error) => (error ? reject(error) : resolve())));
}

/** The monitor has made it, as log URIs are understood; who has moved it away since gets a new one. */
async function openFile(path: string): Promise<OutputWriter> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY } = constants;
  const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, 0o644);
  return {
    async write(data, took) {
      for (let at = 0; at < data.length; ) {
        const { bytesWritten } = await file.write(data, at);
        took(bytesWritten);
        at += bytesWritten;
      }
    },
    close: () => void file.close().catch(() => {}),
  };
}
