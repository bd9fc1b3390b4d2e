import { SandboxesService, SandboxService, TaskService, TaskV3Service } from "@kuasar/proto/definitions";
import { createServer, type Server } from "ttrpc-ts";
import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";
import { ttrpcSandboxService } from "../service/ttrpc-sandbox.ts";
import { ttrpcSandboxesService } from "../service/ttrpc-sandboxes.ts";
import { ttrpcTaskService } from "../service/ttrpc-task.ts";
import type { Domain } from "./domain.ts";

/** The ttrpc side: sandboxes and the tasks in them, on every connection. */
export function createTtrpcServer(domain: Domain, log: Logger): Server {
  const server = createServer({
    onError: (error, call) => log.warn({ method: call?.method, err: errorText(error) }, "a connection or call failed"),
  });
  const tasks = ttrpcTaskService({ ...domain, log });
  server.register(SandboxService, ttrpcSandboxService(domain.sandboxes, domain.sandboxer, domain.metrics, log));
  server.register(SandboxesService, ttrpcSandboxesService(domain.registry, domain.sandboxer, log));
  server.register(TaskService, tasks);
  server.register(TaskV3Service, tasks);
  return server;
}
