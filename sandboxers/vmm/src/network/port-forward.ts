import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { ErrorCode, errorText, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Guest } from "../guest/guest.ts";

const PORT_BYTES = 2;
const TAKEN = Uint8Array.of(1);

/** Where the monitor of a machine's pod hands on the connections that it takes in the pod's network namespace. */
export const forwardSocket = (machineFolder: string) => join(machineFolder, "forward.sock");

/** The other end of CRI's port-forward, which dials 127.0.0.1 in the pod's namespace: there it finds the machine's servers. */
export interface PortForward {
  close(): void;
}

/** Serves a machine's connections from now on; one of an earlier process of this sandboxer is replaced. */
export function servePortForward(socket: string, guest: Guest, log: Logger): PortForward {
  let made = 0;
  const open = new Set<Socket>();
  rmSync(socket, { force: true });
  const server: Server = createServer({ allowHalfOpen: true }, (connection) => {
    open.add(connection);
    connection.on("close", () => open.delete(connection));
    // Told by whoever reads or writes.
    connection.on("error", () => {});
    forward(connection, guest, `forward:${++made}`)
      .catch((error) => {
        const level = isCode(error, ErrorCode.NOT_FOUND) ? "debug" : "info";
        log[level]({ socket, err: errorText(error) }, "a forwarded connection ends");
      })
      .finally(() => connection.destroy());
  });
  server.on("error", (error) => log.warn({ socket, err: errorText(error) }, "port-forward to a machine does not work"));
  // In a folder that is root's alone.
  server.listen(socket);
  return {
    close() {
      server.close();
      for (const connection of open) connection.destroy();
    },
  };
}

async function forward(connection: Socket, guest: Guest, key: string): Promise<void> {
  const port = (await firstBytes(connection)).readUInt16BE();
  await guest.dial(key, port);
  try {
    await written(connection, TAKEN);
    await Promise.all([copyOut(guest, key, connection), copyIn(connection, guest, key)]);
  } finally {
    await guest.closeIo(key);
  }
}

async function firstBytes(connection: Socket): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = connection.read(PORT_BYTES);
    if (bytes) return bytes;
    await new Promise<void>((resolve, reject) => {
      connection.once("readable", resolve);
      connection.once("close", () => reject(new Error("it was closed before its port was said")));
    });
  }
}

async function copyOut(guest: Guest, key: string, connection: Socket): Promise<void> {
  for (let offset = 0, ended = false; !ended; ) {
    const { data, end } = await guest.readOutput(key, 1, offset, offset);
    if (data.length > 0) await written(connection, data);
    offset += data.length;
    ended = end;
  }
  connection.end();
}

async function copyIn(connection: Socket, guest: Guest, key: string): Promise<void> {
  let offset = 0;
  // Its other direction goes on.
  const input: AsyncIterable<Buffer> = connection.iterator({ destroyOnReturn: false });
  for await (const data of input) {
    await guest.writeInput(key, offset, data, false);
    offset += data.length;
  }
  await guest.writeInput(key, offset, new Uint8Array(0), true);
}

function written(connection: Socket, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => connection.write(data, (error) => (error ? reject(error) : resolve())));
}
