import { unwatch, watch } from "@kuasar/shim/platform/loop";
import { acceptVsock, readAll } from "guest";
import * as sys from "sys";
import type { Transport } from "ttrpc-ts";
import { type DescriptorIo, descriptorTransport } from "ttrpc-ts/quickjs";

const io: DescriptorIo = {
  read: readAll,
  write: sys.write,
  close: sys.close,
  watch: (fd, interest, ready) =>
    watch(fd, (interest.read ? sys.EPOLLIN : 0) | (interest.write ? sys.EPOLLOUT : 0), ready),
  unwatch,
};

/** Takes the descriptor over; `onClosed` is told when it has been closed, by whichever end. */
export function openTransport(fd: number, onClosed: () => void): Transport {
  return descriptorTransport(fd, {
    ...io,
    close: (closing) => {
      sys.close(closing);
      onClosed();
    },
  });
}

export function serveVsock(listener: number, onConnection: (transport: Transport) => void): Promise<never> {
  watch(listener, sys.EPOLLIN, () => {
    for (let fd = acceptVsock(listener); fd >= 0; fd = acceptVsock(listener)) onConnection(descriptorTransport(fd, io));
  });
  return new Promise(() => {});
}
