import * as sys from "sys";
import type { Transport } from "ttrpc-ts";
import { type DescriptorIo, descriptorTransport } from "ttrpc-ts/quickjs";
import { unwatch, watch } from "./loop.ts";

const io: DescriptorIo = {
  read: sys.read,
  write: sys.write,
  close: sys.close,
  watch: (fd, interest, ready) =>
    watch(fd, (interest.read ? sys.EPOLLIN : 0) | (interest.write ? sys.EPOLLOUT : 0), ready),
  unwatch,
};

/** Takes the descriptor over. */
export function openTransport(fd: number): Transport {
  return descriptorTransport(fd, io);
}

/** Connects to a unix socket; throws a SysError (ENOENT, ECONNREFUSED) when nobody serves it. */
export function connect(path: string): Transport {
  return descriptorTransport(sys.connect(path), io);
}

/** Hands over each connection that root makes to a listening socket; others are closed. */
export function serveConnections(listener: number, onConnection: (transport: Transport) => void): void {
  watch(listener, sys.EPOLLIN, () => {
    for (let fd = sys.accept(listener); fd >= 0; fd = sys.accept(listener)) {
      const uid = sys.peerUid(fd);
      if (uid === 0 || uid === sys.getuid()) onConnection(descriptorTransport(fd, io));
      else sys.close(fd);
    }
  });
}

/** `unix:///path` is the form of an address that containerd reads; the path alone is taken, too. */
export function pathOfAddress(address: string): string {
  return address.startsWith("unix://") ? address.slice("unix://".length) : address;
}

export function canConnect(path: string): boolean {
  try {
    sys.probe(path);
    return true;
  } catch {
    // Whatever the reason, nobody answers there.
    return false;
  }
}
