import { makeFolders, removeIfThere } from "@kuasar/shim/platform/files";
import { unwatch, watch } from "@kuasar/shim/platform/loop";
import { setPipeSize } from "guest";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { LAST_PIECE, type OutputPiece, readPiece, restOf } from "./output-piece.ts";

const FOLDER = "/run/kuasar/io";
/** Of a process's output at a time, and in its pipe beyond that; an emulated machine takes milliseconds for each call. */
const CHUNK_BYTES = 256 * 1024;
/** What has been told and not acknowledged: the host asks for the next while it writes the one before. */
const HELD_MOST_BYTES = 2 * CHUNK_BYTES;

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
  /** Answers with what there is from `from` on, once there is some; what lies before `offset` is forgotten. */
  read(request: { key: string; fd: number; offset: number; from: number }): Promise<OutputPiece>;
  write(key: string, offset: number, data: Uint8Array, end: boolean): Promise<void>;
  /** Takes a connection over: its stdin and stdout, so to say. */
  adopt(key: string, connection: number): void;
  /** Nobody reads what is written there from now on. */
  closeOutput(key: string, fd: number): void;
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
        stdin: stdin ? new Input(makePipe(`${folder}/0`)) : undefined,
        outputs: [
          stdout ? new Output(makePipe(`${folder}/1`)) : undefined,
          stderr ? new Output(makePipe(`${folder}/2`)) : undefined,
        ],
      };
      processes.set(key, io);
      return {
        stdin: io.stdin?.path ?? "",
        stdout: io.outputs[0]?.path ?? "",
        stderr: io.outputs[1]?.path ?? "",
      };
    },
    read({ key, fd, offset, from }) {
      const output = get(key).outputs[fd - 1];
      if (!output) throw new StatusError(Code.INVALID_ARGUMENT, `fd: expected an output of process ${key}, got ${fd}`);
      return output.read(offset, from);
    },
    async write(key, offset, data, end) {
      const { stdin } = get(key);
      if (!stdin) throw new StatusError(Code.INVALID_ARGUMENT, `process ${key} has no stdin`);
      await stdin.write(offset, data);
      if (end) stdin.end();
    },
    adopt(key, connection) {
      // Watched for one thing each.
      const other = sys.duplicate(connection);
      processes.set(key, {
        stdin: new Input({ fd: other, path: "" }),
        outputs: [new Output({ fd: connection, path: "" }), undefined],
      });
    },
    closeOutput(key, fd) {
      processes.get(key)?.outputs[fd - 1]?.close();
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

/** A FIFO of a process, or a connection, which has no path. */
interface End {
  readonly fd: number;
  readonly path: string;
}

/** With both ends open: there may be input before there is a process, and there is no end before it has begun. */
function makePipe(path: string): End {
  sys.makeFifo(path, 0o600);
  const fd = sys.open(path, sys.O_RDWR | sys.O_NONBLOCK, 0);
  setPipeSize(fd, CHUNK_BYTES);
  return { fd, path };
}

/** The host's end of a process's stdout or stderr. */
class Output {
  private readonly fd: number;
  readonly path: string;
  /** In their order, without gaps. */
  private held: OutputPiece[] = [];
  private heldAt = 0;
  private heldTo = 0;
  private waiting: (() => void) | undefined;
  private readers = 0;
  private gone = false;
  private closed = false;

  constructor({ fd, path }: End) {
    this.fd = fd;
    this.path = path;
  }

  async read(offset: number, from: number): Promise<OutputPiece> {
    this.acknowledge(offset);
    if (from < this.heldAt || from > this.heldTo || from > this.heldAt + HELD_MOST_BYTES) {
      throw new StatusError(Code.OUT_OF_RANGE, `from: expected ${this.heldAt} to ${this.heldTo}, got ${from}`);
    }
    // Of two readers the later one counts: the other's connection is gone.
    const reader = ++this.readers;
    this.waiting?.();
    while (from === this.heldTo && !this.closed) {
      if (reader !== this.readers) throw new StatusError(Code.CANCELLED, `somebody else reads ${this.path} now`);
      const piece = this.nextPiece();
      if (piece?.data.length) {
        this.held.push(piece);
        this.heldTo += piece.data.length;
      } else if (piece || this.gone) {
        return LAST_PIECE;
      } else {
        await this.readable();
      }
    }
    return this.closed ? LAST_PIECE : this.heldFrom(from);
  }

  private nextPiece(): OutputPiece | undefined {
    try {
      return readPiece(this.fd, CHUNK_BYTES);
    } catch (error) {
      // A connection that was cut off has come to its end, too.
      if ((error as sys.SysError).code === "ECONNRESET") return LAST_PIECE;
      throw error;
    }
  }

  private acknowledge(offset: number): void {
    if (offset < this.heldAt || offset > this.heldTo) {
      throw new StatusError(Code.OUT_OF_RANGE, `offset: expected ${this.heldAt} to ${this.heldTo}, got ${offset}`);
    }
    for (let head = this.held[0]; head && this.heldAt + head.data.length <= offset; head = this.held[0]) {
      this.heldAt += head.data.length;
      this.held.shift();
    }
  }

  /** The rest of the piece that this position is in. */
  private heldFrom(from: number): OutputPiece {
    let at = this.heldAt;
    for (const piece of this.held) {
      if (from === at) return piece;
      if (from < at + piece.data.length) return restOf(piece, from - at);
      at += piece.data.length;
    }
    return LAST_PIECE;
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
    if (this.closed) return;
    this.closed = true;
    this.waiting?.();
    sys.close(this.fd);
    if (this.path !== "") removeIfThere(this.path);
  }
}

/** The host's end of a process's stdin. */
class Input {
  private readonly fd: number;
  readonly path: string;
  private taken = 0;
  private last: Promise<void> = Promise.resolve();
  private wake: (() => void) | undefined;
  private closed = false;

  constructor({ fd, path }: End) {
    this.fd = fd;
    this.path = path;
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

  /** The process reads to the end of what there is. */
  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.wake?.();
    // A connection has another direction, which goes on.
    if (this.path === "") sys.endOutput(this.fd);
    sys.close(this.fd);
  }

  close(): void {
    this.end();
    if (this.path !== "") removeIfThere(this.path);
  }
}
