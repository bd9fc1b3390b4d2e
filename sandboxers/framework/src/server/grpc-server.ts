import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ControllerService } from "@kuasar/proto/definitions";
import { grpcService } from "@kuasar/proto/grpc";
import type { Logger } from "../log/logger.ts";
import { grpcController } from "../service/grpc-controller.ts";
import type { Domain } from "./domain.ts";
import type { GrpcAcceptor } from "./front.ts";

/** The gRPC side, for containerd's sandbox proxy plugins. `address` is the socket that tasks are asked for on. */
export function createGrpcServer(domain: Domain, address: string, log: Logger): GrpcAcceptor {
  const server = new Server();
  server.addService(grpcService(ControllerService), grpcController(domain, address, log));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return (socket) => injector.injectConnection(socket);
}
