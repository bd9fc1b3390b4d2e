import type { Socket } from "node:net";
import type { Server as TtrpcServer } from "ttrpc-ts";
import { nodeTransport } from "ttrpc-ts/node";
import type { Logger } from "../log/logger.ts";

/** Takes over a connection that speaks gRPC; its first bytes have been put back. */
export type GrpcAcceptor = (socket: Socket) => void;

// A ttrpc frame begins with the high byte of its length, which 4 MiB at most never sets; HTTP/2 with "PRI * HTTP/2.0".
const TTRPC_FIRST_BYTE = 0x00;
const HTTP2_FIRST_BYTE = 0x50;
// Whoever connects and says nothing is not kept for ever.
const FIRST_BYTE_TIMEOUT_MS = 60_000;

/**
 * Tells by a connection's first byte which protocol it speaks, and hands it on. gRPC's implementation is only loaded
 * when somebody speaks it: it is a third of the process's memory.
 */
export function createFront(
  ttrpc: TtrpcServer,
  loadGrpc: () => Promise<GrpcAcceptor>,
  log: Logger,
): (socket: Socket) => void {
  let grpc: Promise<GrpcAcceptor> | undefined;

  async function toGrpc(socket: Socket, first: Buffer): Promise<void> {
    socket.pause();
    try {
      grpc ??= loadGrpc();
      const accept = await grpc;
      socket.unshift(first);
      accept(socket);
    } catch (error) {
      grpc = undefined;
      log.error({ err: String(error) }, "gRPC cannot be served");
      socket.destroy();
    }
  }

  return (socket) => {
    const onError = () => socket.destroy();
    socket.on("error", onError);
    socket.setTimeout(FIRST_BYTE_TIMEOUT_MS, () => socket.destroy());
    socket.once("data", (first: Buffer) => {
      socket.setTimeout(0);
      socket.removeListener("error", onError);
      if (first[0] === TTRPC_FIRST_BYTE) {
        ttrpc.serve(nodeTransport(socket, first));
      } else if (first[0] === HTTP2_FIRST_BYTE) {
        socket.on("error", onError);
        void toGrpc(socket, first);
      } else {
        log.warn({ firstByte: first[0] }, "a connection that speaks neither ttrpc nor gRPC was closed");
        socket.destroy();
      }
    });
  };
}
