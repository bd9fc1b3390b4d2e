import * as sys from "sys";
import { Code, StatusError, type Transport } from "ttrpc-ts";
import { removeIfThere } from "../platform/files.ts";
import { unwatch, watch } from "../platform/loop.ts";
import { openTransport, serveConnections } from "../platform/unix-socket.ts";

/** Unix sockets by which a process without vsock reaches virtual machines (ServeVsock in monitor.proto). */
export interface VsockBridges {
  /** ALREADY_EXISTS for a key that has one, FAILED_PRECONDITION for a path where there can be no socket. */
  serve(key: string, path: string, cid: number): void;
  /** Connections go, too. Harmless for a key that has none. */
  release(key: string): void;
}

interface Bridge {
  readonly path: string;
  readonly listener: number;
  readonly connections: Set<Transport>;
}

const BACKLOG = 16;
/** As many as a machine is let have: the rest of the pod has its share of this process, too. */
const CONNECTIONS_MAX = 64;
const REQUEST = /^CONNECT (\d{1,10})$/;
const REQUEST_BYTES_MAX = 32;
const PORT_MAX = 0xffff_fffe;
const NEWLINE = 10;
/** Of what one side does not take, before the other waits. */
const BUFFERED_MAX = 256 * 1024;

export function createVsockBridges(): VsockBridges {
  const bridges = new Map<string, Bridge>();
  return {
    serve(key, path, cid) {
      if (bridges.has(key)) throw new StatusError(Code.ALREADY_EXISTS, `vsock ports are served for ${key} already`);
      if (!path.startsWith("/")) {
        throw new StatusError(Code.INVALID_ARGUMENT, `path: expected an absolute path, got ${JSON.stringify(path)}`);
      }
      const bridge: Bridge = { path, listener: listenAt(path), connections: new Set() };
      bridges.set(key, bridge);
      serveConnections(bridge.listener, (client) => {
        if (bridge.connections.size >= CONNECTIONS_MAX) client.close();
        else takeRequest(client, cid, bridge.connections);
      });
    },
    release(key) {
      const bridge = bridges.get(key);
      if (!bridge) return;
      bridges.delete(key);
      unwatch(bridge.listener);
      sys.close(bridge.listener);
      removeIfThere(bridge.path);
      for (const connection of [...bridge.connections]) connection.close();
    },
  };
}

function listenAt(path: string): number {
  try {
    return sys.listen(path, BACKLOG);
  } catch (error) {
    throw new StatusError(Code.FAILED_PRECONDITION, `path: ${(error as Error).message}`);
  }
}

/** What comes after the request belongs to the machine: it is kept until that is there. */
function takeRequest(client: Transport, cid: number, connections: Set<Transport>): void {
  const got: number[] = [];
  connections.add(client);
  client.onClose = () => connections.delete(client);
  client.onData = (bytes) => {
    const end = bytes.indexOf(NEWLINE);
    got.push(...bytes.subarray(0, end < 0 ? Math.min(bytes.length, REQUEST_BYTES_MAX) : end));
    if (end < 0 && got.length < REQUEST_BYTES_MAX) return;
    const port = Number(REQUEST.exec(String.fromCharCode(...got))?.[1] ?? Number.NaN);
    if (end < 0 || !(port <= PORT_MAX)) {
      client.close();
      return;
    }
    client.pause();
    client.onData = () => {};
    connectMachine(client, cid, port, bytes.slice(end + 1));
  };
}

function connectMachine(client: Transport, cid: number, port: number, first: Uint8Array): void {
  let fd: number;
  try {
    fd = sys.connectVsock(cid, port);
  } catch {
    // Whoever asked learns it from the end of the connection, as from a hypervisor, and asks again.
    client.close();
    return;
  }
  const forget = client.onClose;
  client.onClose = (error) => {
    unwatch(fd);
    sys.close(fd);
    forget(error);
  };
  watch(fd, sys.EPOLLOUT, () => {
    unwatch(fd);
    if (sys.socketError(fd) !== 0) {
      client.close();
      return;
    }
    const machine = openTransport(fd);
    pass(machine, client);
    pass(client, machine);
    client.onClose = (error) => {
      forget(error);
      machine.close();
    };
    machine.onClose = () => client.close();
    client.write(new Uint8Array(sys.encodeUtf8(`OK ${port}\n`)));
    if (first.length > 0) machine.write(first);
    client.resume();
  });
}

function pass(from: Transport, to: Transport): void {
  from.onData = (bytes) => {
    to.write(bytes);
    if (to.buffered > BUFFERED_MAX) from.pause();
  };
  to.onDrain = () => from.resume();
}
