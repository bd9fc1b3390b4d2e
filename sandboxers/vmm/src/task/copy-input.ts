import { existsSync, readSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, errno, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Guest } from "../guest/guest.ts";
import type { Counter } from "./byte-counter.ts";

const PIECE_BYTES = 64 * 1024;
const RETRY_MS = 200;

/** What is written to a host's FIFO, on its way to a process in the guest. */
export interface InputCopy {
  /** Settles when the process has all of it, or can have no more. */
  readonly done: Promise<void>;
  /** Nothing will come but what is in the FIFO now. Known to a later copy of the same stream, too. */
  end(): void;
}

/**
 * @param fifo at its reading end, which somebody has open for writing, too: no end is ever seen there
 * @param ended a file that says that `end` was called
 */
export function copyInput(
  guest: Guest,
  key: string,
  fd: number,
  fifo: Socket,
  copied: Counter,
  ended: string,
): InputCopy {
  let ending = existsSync(ended);
  let wake = () => {};
  fifo.on("readable", () => wake());
  fifo.on("close", () => wake());

  /** What the end of a connection leaves undone is done again: the guest knows by the offset what it has. */
  async function put(data: Uint8Array, end: boolean): Promise<void> {
    for (;;) {
      try {
        await guest.writeInput(key, copied.value, data, end);
        copied.add(data.length);
        return;
      } catch (error) {
        if (!isCode(error, ErrorCode.UNAVAILABLE) || guest.closed || fifo.destroyed) throw error;
      }
      await sleep(RETRY_MS);
    }
  }

  async function copy(): Promise<void> {
    for (;;) {
      const data: Buffer | undefined = fifo.read() ?? (ending ? readNow(fd) : undefined);
      if (fifo.destroyed) return;
      if (data) await put(data, false);
      else if (ending) return await put(new Uint8Array(0), true);
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }

  return {
    done: copy(),
    end() {
      writeFileSync(ended, "", { mode: 0o600 });
      ending = true;
      wake();
    },
  };
}

/** Forgets that a stream has been ended. */
export function forgetEnd(ended: string): void {
  rmSync(ended, { force: true });
}

/** Undefined when the FIFO is empty. */
function readNow(fd: number): Buffer | undefined {
  const piece = Buffer.alloc(PIECE_BYTES);
  try {
    const got = readSync(fd, piece);
    return got === 0 ? undefined : piece.subarray(0, got);
  } catch (error) {
    if (errno(error) === "EAGAIN") return undefined;
    throw error;
  }
}
