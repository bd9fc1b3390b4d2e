import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { isFifo } from "./output.ts";

/** FIFOs that are kept open for somebody who may be restarted: their readers see no end meanwhile. */
export interface HeldFifos {
  /** ALREADY_EXISTS for a key that holds some. */
  hold(key: string, paths: readonly string[]): void;
  /** Harmless for a key that holds none. */
  release(key: string): void;
}

export function createHeldFifos(): HeldFifos {
  const held = new Map<string, number[]>();
  return {
    hold(key, paths) {
      if (held.has(key)) throw new StatusError(Code.ALREADY_EXISTS, `FIFOs are held for ${key} already`);
      const fds: number[] = [];
      held.set(key, fds);
      try {
        for (const path of paths) fds.push(open(path));
      } catch (error) {
        this.release(key);
        throw error;
      }
    },
    release(key) {
      for (const fd of held.get(key) ?? []) sys.close(fd);
      held.delete(key);
    },
  };
}

function open(path: string): number {
  if (!isFifo(path)) throw new StatusError(Code.INVALID_ARGUMENT, `fifos: expected the path of a FIFO, got ${path}`);
  return sys.open(path, sys.O_RDWR | sys.O_NONBLOCK | sys.O_NOFOLLOW, 0);
}
