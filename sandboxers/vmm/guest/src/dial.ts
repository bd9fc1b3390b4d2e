import { sleep, unwatch, watch } from "@kuasar/shim/platform/loop";
import { connectLocal } from "guest";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import type { GuestIo } from "./guest-io.ts";

const TIMEOUT_MS = 5_000;

/** Connections to servers in the machine that the host asks for, whose streams are then those of a process. */
export interface Dialler {
  /**
   * NOT_FOUND where nobody listens at the port. A session is a life of the host's process: with the first connection of a new
   * one those of the last are closed, since nobody reads them any more.
   */
  dial(request: { key: string; port: number; session: string }): Promise<void>;
}

export function createDialler(io: GuestIo): Dialler {
  let current = "";
  const keys = new Set<string>();
  return {
    async dial({ key, port, session }) {
      if (session !== current) {
        for (const old of keys) io.close(old);
        keys.clear();
        current = session;
      }
      const connection = await dialLocal(port);
      io.adopt(key, connection);
      keys.add(key);
    },
  };
}

/** As containerd does where a pod's servers are on the host: the one family first, then the other. */
async function dialLocal(port: number): Promise<number> {
  if (port < 1 || port > 65_535) {
    throw new StatusError(Code.INVALID_ARGUMENT, `port: expected 1 to 65535, got ${port}`);
  }
  return (await connected(false, port)) ?? (await connected(true, port)) ?? refused(port);
}

function refused(port: number): never {
  throw new StatusError(Code.NOT_FOUND, `nobody listens at port ${port} of the machine`);
}

/** undefined where it is refused, or not answered. */
async function connected(ipv6: boolean, port: number): Promise<number | undefined> {
  let fd: number;
  try {
    fd = connectLocal(ipv6, port);
  } catch {
    // Refused at once, or a kernel without IPv6.
    return undefined;
  }
  const settled = new Promise<boolean>((resolve) => watch(fd, sys.EPOLLOUT, () => resolve(true)));
  const inTime = await Promise.race([settled, sleep(TIMEOUT_MS).then(() => false)]);
  unwatch(fd);
  if (inTime && sys.socketError(fd) === 0) return fd;
  sys.close(fd);
  return undefined;
}
