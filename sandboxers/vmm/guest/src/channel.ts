import { readTextIfThere } from "@kuasar/shim/platform/files";
import { sleep, unwatch, watch } from "@kuasar/shim/platform/loop";
import { listenVsock } from "guest";
import * as sys from "sys";
import type { Server, Transport } from "ttrpc-ts";
import { loadModules } from "./kernel-modules.ts";
import { openTransport, serveVsock } from "./transports.ts";

/**
 * Said first on each connection by a virtio port, before any frame. Such a port is one stream that a host's process may
 * leave in mid frame and another take up: neither end believes in a connection until these bytes have come.
 */
export const GREETING = "KUASAR-GUEST-1\n";

const PORT_POLL_MS = 25;

/** Serves the host's connections, one after another on a virtio port, or many on a vsock port. */
export async function serveChannel(server: Server, channel: string): Promise<never> {
  const [kind, name = ""] = channel.split(":");
  const greeted = (transport: Transport) => {
    transport.write(new Uint8Array(sys.encodeUtf8(GREETING)));
    server.serve(transport);
  };
  if (kind === "vsock") {
    loadModules("/lib/modules/vsock");
    return serveVsock(listenVsock(Number(name)), (transport) => server.serve(transport));
  }
  if (kind !== "virtio") throw new Error(`kuasar.channel: expected virtio:NAME or vsock:PORT, got ${channel}`);
  const device = await findPort(name);
  for (;;) {
    const fd = await openWhenHostIsThere(device);
    await new Promise<void>((closed) => greeted(openTransport(fd, closed)));
  }
}

/** The character device of the port that the hypervisor gives this name. */
async function findPort(name: string): Promise<string> {
  for (let attempt = 0; attempt < 400; attempt++) {
    for (let device = 0; device < 8; device++) {
      for (let port = 0; port < 32; port++) {
        const node = `vport${device}p${port}`;
        if (readTextIfThere(`/sys/class/virtio-ports/${node}/name`)?.trim() === name) return `/dev/${node}`;
      }
    }
    await sleep(PORT_POLL_MS);
  }
  throw new Error(`there is no virtio port called ${name}`);
}

/** The kernel tells of a host that goes, but not of one that comes: that is looked for. */
async function openWhenHostIsThere(device: string): Promise<number> {
  const fd = sys.open(device, sys.O_RDWR | sys.O_NONBLOCK, 0);
  while (await hungUp(fd)) await sleep(PORT_POLL_MS);
  return fd;
}

function hungUp(fd: number): Promise<boolean> {
  return new Promise((resolve) =>
    watch(fd, sys.EPOLLIN | sys.EPOLLOUT, (events) => {
      unwatch(fd);
      resolve((events & sys.EPOLLHUP) !== 0);
    }),
  );
}
