import { chmodSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { errno, errorText } from "../error/sandbox-error.ts";

// sun_path has 108 bytes with its end; Node would silently cut a longer path.
const PATH_MAX = 107;
const BACKLOG = 4096;

/**
 * Listens on a socket that only its owner can reach (0600). A socket file that nobody answers on any more is replaced;
 * one that is served, or that is no socket, is an error that says so.
 */
export async function listenOnUnixSocket(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer(onConnection);
  await bindUnixSocket(server, path);
  return server;
}

/** The same for a server that exists already: one of HTTP, say. */
export async function bindUnixSocket(server: Server, path: string): Promise<void> {
  if (!path.startsWith("/") || Buffer.byteLength(path) > PATH_MAX) {
    throw new Error(`cannot listen on ${path}: expected an absolute path of at most ${PATH_MAX} bytes`);
  }
  mkdirSync(dirname(path), { recursive: true });
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(new Error(`cannot listen on ${path}: ${error.message}`)));
    // Made while the listening call runs, so nobody can connect before the mode is set.
    const umask = process.umask(0o177);
    try {
      server.listen({ path, backlog: BACKLOG }, resolve);
    } finally {
      process.umask(umask);
    }
  });
  chmodSync(path, 0o600);
}

async function removeStale(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    return;
  }
  if (!stats.isSocket()) {
    throw new Error(`cannot listen on ${path}: it exists and is not a socket`);
  }
  const refusal = await refusalOf(path);
  if (refusal === undefined) {
    throw new Error(`cannot listen on ${path}: it is already served by another process`);
  }
  if (errno(refusal) !== "ECONNREFUSED" && errno(refusal) !== "ENOENT") {
    throw new Error(`cannot listen on ${path}: whether it is served cannot be told: ${errorText(refusal)}`);
  }
  rmSync(path, { force: true });
}

/** Whether somebody answers there. */
export async function isServed(path: string): Promise<boolean> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isSocket() === true && (await refusalOf(path)) === undefined;
}

function refusalOf(path: string): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("error", resolve);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}
