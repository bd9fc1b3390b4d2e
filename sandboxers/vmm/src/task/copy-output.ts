import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, errorText, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Guest } from "../guest/guest.ts";
import type { Counter } from "./byte-counter.ts";
import type { OutputTarget } from "./output-targets.ts";
import { isReaderGone, type OutputWriter, openWriter } from "./output-writer.ts";

const RETRY_MS = 200;
/** Once its process has ended: all that there can be in the guest (guest/src/guest-io.ts), and more. */
const LAST_BYTES = 1024 * 1024;

/** What a process in the guest writes to one of its outputs, on its way to where it goes on the host. */
export interface OutputCopy {
  /** Settles when nothing will be copied any more; never rejected. */
  readonly done: Promise<void>;
  /** Whoever reads on the host does not. */
  readonly isStalled: boolean;
  /** The process has ended: what else comes has a bound, whatever the guest says. */
  ending(): void;
  /** Stops; another copy may go on. */
  close(): void;
}

export interface OutputCopyParts {
  readonly guest: Guest;
  readonly key: string;
  readonly fd: 1 | 2;
  readonly target: OutputTarget;
  readonly copied: Counter;
  readonly log: Logger;
  /** Told whenever something has come, or has been taken. */
  readonly onMove: () => void;
}

export function copyOutput(parts: OutputCopyParts): OutputCopy {
  return new Copy(parts);
}

class Copy implements OutputCopy {
  readonly done: Promise<void>;
  isStalled = false;
  private writer: OutputWriter | undefined;
  private ended = false;
  private closed = false;

  constructor(private readonly parts: OutputCopyParts) {
    this.done = this.run();
  }

  private async run(): Promise<void> {
    const { key, target, copied, log } = this.parts;
    try {
      const { path } = target;
      if (await this.opened()) await this.copyAll();
      else log.debug({ key, path }, "nobody reads the output of a process in a machine");
    } catch (error) {
      if (!this.closed && !isCode(error, ErrorCode.NOT_FOUND)) this.lost(error);
    } finally {
      copied.close();
      this.writer?.close();
    }
  }

  /** False where the process has been told that nobody reads. Without a writer what comes is dropped: nobody waits for it. */
  private async opened(): Promise<boolean> {
    try {
      this.writer = await openWriter(this.parts.target);
    } catch (error) {
      if (isReaderGone(error)) return !(await this.refused());
      this.lost(error);
    }
    if (this.closed) this.writer?.close();
    return true;
  }

  private lost(error: unknown): void {
    const { key, target, log } = this.parts;
    log.warn({ key, path: target.path, err: errorText(error) }, "output of a process in a machine is lost");
  }

  /** As a process on the host sees a log driver end. Whether the guest can tell it so. */
  private async refused(): Promise<boolean> {
    const { guest, key, fd } = this.parts;
    this.writer?.close();
    this.writer = undefined;
    try {
      await guest.closeOutput(key, fd);
      return true;
    } catch (error) {
      if (!isCode(error, ErrorCode.UNIMPLEMENTED)) throw error;
      return false;
    }
  }

  private async copyAll(): Promise<void> {
    const { guest } = this.parts;
    for (;;) {
      try {
        return await this.copyPieces();
      } catch (error) {
        // The guest keeps what was not acknowledged, for the next connection.
        if (this.closed || guest.closed || !isCode(error, ErrorCode.UNAVAILABLE)) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  private async copyPieces(): Promise<void> {
    const { guest, key, fd, copied, onMove } = this.parts;
    let from = copied.value;
    const read = () => {
      const piece = guest.readOutput(key, fd, copied.value, from);
      piece.catch(() => {});
      return piece;
    };
    let lastBytes = 0;
    for (let next = read(), last = false; !last; ) {
      const { data, end } = await next;
      if (this.closed) return;
      from += data.length;
      if (this.ended) lastBytes += data.length;
      last = end || lastBytes > LAST_BYTES;
      // Nothing is no answer; a guest that gives it is not asked at once.
      if (data.length === 0 && !last) await sleep(RETRY_MS);
      else onMove();
      // The next piece comes while this one is written.
      if (!last) next = read();
      if (!(await this.write(data))) return;
    }
  }

  /** False where the process has been told that nobody reads. */
  private async write(data: Uint8Array): Promise<boolean> {
    const { copied, onMove } = this.parts;
    let taken = 0;
    const took = (bytes: number) => {
      taken += bytes;
      copied.add(bytes);
      onMove();
    };
    this.isStalled = true;
    try {
      await this.writer?.write(data, took);
    } catch (error) {
      if (this.closed) throw error;
      if (isReaderGone(error)) return !(await this.refused());
      // A full disk: what cannot be kept is lost, and the process goes on.
      this.lost(error);
    } finally {
      this.isStalled = false;
    }
    if (taken < data.length) copied.add(data.length - taken);
    return true;
  }

  ending(): void {
    this.ended = true;
  }

  close(): void {
    this.closed = true;
    this.writer?.close();
  }
}
