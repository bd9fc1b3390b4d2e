import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ControllerService } from "@kuasar/proto/definitions";
import { grpcService } from "@kuasar/proto/grpc";
import type { Logger } from "../log/logger.ts";
import { grpcController } from "../service/grpc-controller.ts";
import type { Domain } from "./domain.ts";
import type { GrpcAcceptor } from "./front.ts";

// Node's HTTP/2 stops reading after a frame that breaks the protocol, and so never sees that its peer has gone. Only a
// ping without an answer ends such a connection.
const PING_EVERY_MS = 60_000;
const PING_TIMEOUT_MS = 20_000;

/** The gRPC side, for containerd's sandbox proxy plugins. `address` is the socket that tasks are asked for on. */
export function createGrpcServer(
  domain: Domain,
  address: string,
  log: Logger,
  { pingEveryMs = PING_EVERY_MS, pingTimeoutMs = PING_TIMEOUT_MS } = {},
): GrpcAcceptor {
  const server = new Server({
    "grpc.keepalive_time_ms": pingEveryMs,
    "grpc.keepalive_timeout_ms": pingTimeoutMs,
  });
  server.addService(grpcService(ControllerService), grpcController(domain, address, log));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return (socket) => injector.injectConnection(socket);
}
