import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { unwatch, watch } from "../platform/loop.ts";
import { type Copier, copy } from "./copier.ts";
import type { ProcessTable } from "./process-table.ts";

/** kuasar.monitor.v1.ForwardRequest. */
export interface ForwardSpec {
  readonly key: string;
  readonly network: string;
  readonly socket: string;
}

/** At once; each has a few file descriptors. */
const MOST_CONNECTIONS = 128;

/** Takes the connections of a network namespace, and hands each on to a socket, until the process has exited. */
export function forwardConnections(table: ProcessTable, { key, network, socket }: ForwardSpec): void {
  table.get(key);
  const [listener, link] = listenIn(network);
  const connections = new Set<ForwardedConnection>();
  watch(listener, sys.EPOLLIN, () => {
    for (let client = sys.accept(listener); client >= 0; client = sys.accept(listener)) {
      const server = connections.size < MOST_CONNECTIONS ? offer(client, socket) : -1;
      if (server < 0) sys.resetConnection(client);
      else connections.add(new ForwardedConnection(client, server, (ended) => connections.delete(ended)));
    }
  });
  void table.wait(key).then(() => {
    unwatch(listener);
    // Before the listener: until then whoever connects would be refused in another way.
    sys.close(link);
    sys.close(listener);
    for (const connection of connections) connection.close();
  });
}

function listenIn(network: string): [number, number] {
  try {
    return sys.listenInNetwork(network);
  } catch (error) {
    const { syscall, message } = error as sys.SysError;
    const kernels = syscall.startsWith("bpf") ? "; it takes Linux 5.9, with bpf(2)" : "";
    throw new StatusError(Code.UNIMPLEMENTED, `connections in ${network} cannot be taken: ${message}${kernels}`);
  }
}

/** The port is said. -1 while nobody is there to hear it: the sandboxer may be between two lives. */
function offer(client: number, socket: string): number {
  let server = -1;
  try {
    server = sys.connect(socket);
    const port = sys.localPort(client);
    sys.write(server, new Uint8Array([port >> 8, port & 255]).buffer, 0, 2);
    return server;
  } catch {
    if (server >= 0) sys.close(server);
    return -1;
  }
}

/** From the answer to what was offered to the end of both directions, each of which may end before the other. */
class ForwardedConnection {
  private readonly directions: Copier[] = [];
  private ended = false;

  constructor(
    private readonly client: number,
    private readonly server: number,
    private readonly onEnd: (connection: ForwardedConnection) => void,
  ) {
    watch(server, sys.EPOLLIN, () => this.answered());
  }

  private answered(): void {
    unwatch(this.server);
    if (!this.isTaken()) {
      this.ended = true;
      sys.close(this.server);
      sys.resetConnection(this.client);
      this.onEnd(this);
      return;
    }
    this.directions.push(this.direction(this.client, this.server), this.direction(this.server, this.client));
  }

  private isTaken(): boolean {
    try {
      return sys.read(this.server, new ArrayBuffer(1), 0, 1) === 1;
    } catch {
      // A reset is a no as well.
      return false;
    }
  }

  private direction(from: number, to: number): Copier {
    return copy(sys.duplicate(from), sys.duplicate(to), () => {
      sys.endOutput(to);
      if (this.directions.every(({ closed }) => closed)) this.close();
    });
  }

  close(): void {
    if (this.ended) return;
    this.ended = true;
    for (const direction of this.directions) direction.close();
    unwatch(this.server);
    for (const fd of [this.client, this.server]) sys.close(fd);
    this.onEnd(this);
  }
}
