import { lstatSync, unlinkSync } from "node:fs";
import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, errorText, StatusError } from "./status.ts";
import type { Transport } from "./transport.ts";

/** A socket that accepts connections. */
export interface Listener {
  readonly path: string;
  /** Accepts no more and removes the socket file; connections already accepted stay. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** How long to try. Default: 10 000 ms. */
  timeoutMs?: number | undefined;
}

export interface ListenOptions {
  /** The mode of the socket file. Default: 0600. */
  mode?: number | undefined;
}

/**
 * A connected socket as a transport. `firstChunk` is what somebody has already read from it, to find out which protocol
 * it speaks: it is delivered first.
 */
export function nodeTransport(socket: Socket, firstChunk?: Uint8Array): Transport {
  return new SocketTransport(socket, firstChunk);
}

// The file name in sockaddr_un has 108 bytes, the last for a zero. Node cuts a longer one short without a word.
const SOCKET_PATH_MAX = 107;
const CONNECT_TIMEOUT_MS = 10_000;
// The kernel cuts it to net.core.somaxconn. A full backlog makes connect(2) fail rather than wait.
const LISTEN_BACKLOG = 4096;

/** Connects to a unix socket. Fails with UNAVAILABLE, or DEADLINE_EXCEEDED when the time is over. */
export async function connect(path: string, options: ConnectOptions = {}): Promise<Transport> {
  assertSocketPath(path);
  const { timeoutMs = CONNECT_TIMEOUT_MS } = options;
  const end = Date.now() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    try {
      return nodeTransport(await connectOnce(path, end - Date.now()));
    } catch (error) {
      // A unix socket whose backlog is full says EAGAIN instead of letting the caller wait.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") {
        throw error instanceof StatusError
          ? error
          : new StatusError(Code.UNAVAILABLE, `connecting to ${path}: ${errorText(error)}`, { cause: error });
      }
      if (Date.now() + pauseMs >= end) {
        throw connectTimeout(path);
      }
    }
    await sleep(pauseMs);
  }
}

/** Listens on a unix socket, replacing the file of a listener that is gone. The file never has a wider mode. */
export async function listen(
  path: string,
  onTransport: (transport: Transport) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  assertSocketPath(path);
  const { mode = 0o600 } = options;
  const accept = (socket: Socket): void => onTransport(nodeTransport(socket));
  try {
    return await listenOnce(path, accept, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || !(await isAbandoned(path))) {
      throw listenError(path, error);
    }
    unlinkSync(path);
    return await listenOnce(path, accept, mode).catch((again: unknown) => {
      throw listenError(path, again);
    });
  }
}

function assertSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length === 0 || length > SOCKET_PATH_MAX) {
    const text = `socket path: expected 1 to ${SOCKET_PATH_MAX} bytes, got ${length}: ${path}`;
    throw new StatusError(Code.INVALID_ARGUMENT, text);
  }
}

function connectTimeout(path: string): StatusError {
  return new StatusError(Code.DEADLINE_EXCEEDED, `connecting to ${path}: nobody accepted in time`);
}

function listenError(path: string, error: unknown): StatusError {
  const inUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
  const code = inUse ? Code.ALREADY_EXISTS : Code.UNAVAILABLE;
  return new StatusError(code, `listening on ${path}: ${errorText(error)}`, { cause: error });
}

function connectOnce(path: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ path });
    const timer = setTimeout(() => socket.destroy(connectTimeout(path)), Math.min(timeoutMs, 0x7fff_ffff));
    socket.once("error", reject);
    socket.once("close", () => clearTimeout(timer));
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeListener("error", reject);
      resolve(socket);
    });
  });
}

function listenOnce(path: string, accept: (socket: Socket) => void, mode: number): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = createServer(accept);
    server.once("error", reject);
    // Binding makes the file, and happens before listen() returns: nothing else of this thread runs under the umask.
    const umask = process.umask(~mode & 0o777);
    try {
      server.listen({ path, backlog: LISTEN_BACKLOG }, () => resolve({ path, close: () => closeListener(server) }));
    } finally {
      process.umask(umask);
    }
  });
}

function closeListener(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    // close() waits for connections that this listener no longer answers for
    resolve();
  });
}

async function isAbandoned(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) {
    return false;
  }
  try {
    (await connectOnce(path, CONNECT_TIMEOUT_MS)).destroy();
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
  }
}

class SocketTransport implements Transport {
  onDrain: () => void = () => {};
  onClose: (error?: Error) => void = () => {};
  readonly #socket: Socket;
  #firstChunk: Uint8Array | undefined;
  #onData: ((bytes: Uint8Array) => void) | undefined;
  #error: Error | undefined;
  #closed = false;
  #paused = false;
  #corked = false;
  #undrained = false;

  constructor(socket: Socket, firstChunk: Uint8Array | undefined) {
    this.#socket = socket;
    this.#firstChunk = firstChunk;
    socket.on("error", (error) => {
      this.#error = error;
    });
    // As with containerd's ttrpc, a peer that sends no more is gone.
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#reportClose());
  }

  get buffered(): number {
    return this.#closed ? 0 : this.#socket.writableLength;
  }

  get onData(): (bytes: Uint8Array) => void {
    return this.#onData ?? (() => {});
  }

  set onData(onData: (bytes: Uint8Array) => void) {
    if (this.#onData === undefined) {
      process.nextTick(() => this.#start());
    }
    this.#onData = onData;
  }

  // The first write of a turn goes out at once, for latency; those after it go together, in one writev(2).
  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (socket.destroyed) {
      return;
    }
    socket.write(bytes, this.#written);
    if (socket.writableLength > 0) {
      this.#undrained = true;
    }
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      process.nextTick(this.#uncork);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#deliverFirstChunk();
    if (!this.#paused) {
      this.#socket.resume();
    }
  }

  readonly #written = (): void => {
    if (this.#undrained && this.#socket.writableLength === 0) {
      this.#undrained = false;
      this.onDrain();
    }
  };

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };

  #start(): void {
    const socket = this.#socket;
    // All of it may have happened before the protocol took over.
    if (socket.closed || this.#closed) {
      this.#closed = false;
      this.#reportClose();
      return;
    }
    if (!this.#paused) {
      this.#deliverFirstChunk();
    }
    // A plain view: what Node reads into is not shared, and its Buffer's own slice() and text methods are not wanted.
    socket.on("data", (chunk: Buffer) => {
      this.#onData?.(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    });
    if (socket.readableEnded) {
      socket.destroy();
    } else if (this.#paused) {
      socket.pause();
    } else {
      socket.resume();
    }
  }

  #deliverFirstChunk(): void {
    const chunk = this.#firstChunk;
    if (chunk !== undefined && this.#onData !== undefined) {
      this.#firstChunk = undefined;
      this.#onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    }
  }

  #reportClose(): void {
    if (!this.#closed) {
      this.#closed = true;
      if (this.#onData !== undefined) {
        this.onClose(this.#error);
      }
    }
  }
}
