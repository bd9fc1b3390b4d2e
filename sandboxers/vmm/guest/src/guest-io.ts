import { makeFolders, removeIfThere } from "@kuasar/shim/platform/files";
import { unwatch, watch } from "@kuasar/shim/platform/loop";
import { makeFifo } from "guest";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";

const FOLDER = "/run/kuasar/io";
const MOST_BYTES = 1 << 20;

/**
 * The stdio of the machine's processes, by their keys. A process has FIFOs of the guest's, as it would have containerd's
 * on a host; the other end of each is read and written here when the host asks, and never ahead of it: a reader that
 * stalls is felt by the process, and by nobody else.
 */
export interface GuestIo {
  open(request: { key: string; stdin: boolean; stdout: boolean; stderr: boolean }): {
    stdin: string;
    stdout: string;
    stderr: string;
  };
  /** Answers with what there is, once there is some; empty at the end. */
  read(key: string, fd: number, offset: number, limit: number): Promise<{ data: Uint8Array; end: boolean }>;
  write(key: string, offset: number, data: Uint8Array): Promise<void>;
  /** What the process itself will not write any more: the end, once what is there has been read. */
  ended(key: string): void;
  close(key: string): void;
}

export function createGuestIo(): GuestIo {
  const processes = new Map<string, ProcessIo>();
  let made = 0;
  const get = (key: string) => {
    const io = processes.get(key);
    if (!io) throw new StatusError(Code.NOT_FOUND, `process ${key} has no stdio here`);
    return io;
  };
  return {
    open({ key, stdin, stdout, stderr }) {
      if (processes.has(key)) throw new StatusError(Code.ALREADY_EXISTS, `process ${key} has its stdio already`);
      makeFolders(FOLDER, 0o700);
      const folder = `${FOLDER}/${++made}`;
      makeFolders(folder, 0o700);
      const io: ProcessIo = {
        stdin: stdin ? new Input(`${folder}/0`) : undefined,
        outputs: [stdout ? new Output(`${folder}/1`) : undefined, stderr ? new Output(`${folder}/2`) : undefined],
      };
      processes.set(key, io);
      return {
        stdin: io.stdin?.path ?? "",
        stdout: io.outputs[0]?.path ?? "",
        stderr: io.outputs[1]?.path ?? "",
      };
    },
    read(key, fd, offset, limit) {
      const output = get(key).outputs[fd - 1];
      if (!output) throw new StatusError(Code.INVALID_ARGUMENT, `fd: expected an output of process ${key}, got ${fd}`);
      return output.read(offset, Math.min(limit || MOST_BYTES, MOST_BYTES));
    },
    async write(key, offset, data) {
      const { stdin } = get(key);
      if (!stdin) throw new StatusError(Code.INVALID_ARGUMENT, `process ${key} has no stdin`);
      await stdin.write(offset, data);
    },
    ended(key) {
      for (const output of processes.get(key)?.outputs ?? []) output?.writerGone();
    },
    close(key) {
      const io = processes.get(key);
      if (!io) return;
      processes.delete(key);
      io.stdin?.close();
      for (const output of io.outputs) output?.close();
    },
  };
}

interface ProcessIo {
  readonly stdin: Input | undefined;
  readonly outputs: readonly [Output | undefined, Output | undefined];
}

/** The host's end of a process's stdout or stderr. */
class Output {
  private readonly fd: number;
  private held = new Uint8Array(0);
  private heldAt = 0;
  private waiting: (() => void) | undefined;
  private readers = 0;
  private gone = false;
  private closed = false;

  constructor(readonly path: string) {
    makeFifo(path, 0o600);
    // Also for writing, so that there is no end before the process has begun.
    this.fd = sys.open(path, sys.O_RDWR | sys.O_NONBLOCK, 0);
  }

  async read(offset: number, limit: number): Promise<{ data: Uint8Array; end: boolean }> {
    const acknowledged = offset - this.heldAt;
    if (acknowledged < 0 || acknowledged > this.held.length) {
      throw new StatusError(
        Code.OUT_OF_RANGE,
        `offset: expected ${this.heldAt} to ${this.heldAt + this.held.length}, got ${offset}`,
      );
    }
    this.held = this.held.subarray(acknowledged);
    this.heldAt = offset;
    // Of two readers the later one counts: the other's connection is gone.
    const reader = ++this.readers;
    this.waiting?.();
    while (this.held.length === 0 && !this.closed) {
      if (reader !== this.readers) throw new StatusError(Code.CANCELLED, `somebody else reads ${this.path} now`);
      const chunk = new Uint8Array(limit);
      const got = sys.read(this.fd, chunk.buffer, 0, limit);
      if (got > 0) this.held = chunk.subarray(0, got);
      else if (this.gone) return { data: this.held, end: true };
      else await this.readable();
    }
    return { data: this.held, end: this.closed };
  }

  private readable(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.waiting = undefined;
        unwatch(this.fd);
        resolve();
      };
      this.waiting = done;
      watch(this.fd, sys.EPOLLIN, done);
    });
  }

  writerGone(): void {
    this.gone = true;
    this.waiting?.();
  }

  close(): void {
    this.closed = true;
    this.waiting?.();
    sys.close(this.fd);
    removeIfThere(this.path);
  }
}

/** The host's end of a process's stdin. */
class Input {
  private readonly fd: number;
  private taken = 0;
  private last: Promise<void> = Promise.resolve();
  private wake: (() => void) | undefined;
  private closed = false;

  constructor(readonly path: string) {
    makeFifo(path, 0o600);
    // Also for reading: there may be input before there is a process.
    this.fd = sys.open(path, sys.O_RDWR | sys.O_NONBLOCK, 0);
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    const written = this.last.then(() => this.put(offset, data));
    this.last = written.catch(() => {});
    return written;
  }

  private async put(offset: number, data: Uint8Array): Promise<void> {
    if (offset > this.taken) {
      throw new StatusError(Code.OUT_OF_RANGE, `offset: expected ${this.taken} at most, got ${offset}`);
    }
    for (let at = this.taken - offset; at < data.length; ) {
      if (this.closed) throw new StatusError(Code.NOT_FOUND, "the process's stdin has been closed");
      const put = sys.write(this.fd, data.buffer as ArrayBuffer, data.byteOffset + at, data.length - at);
      if (put < 0) {
        await this.writable();
      } else {
        at += put;
        this.taken += put;
      }
    }
  }

  private writable(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = undefined;
        unwatch(this.fd);
        resolve();
      };
      watch(this.fd, sys.EPOLLOUT, this.wake);
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.wake?.();
    sys.close(this.fd);
    removeIfThere(this.path);
  }
}
