import { MonitorService } from "@kuasar/proto/shim-definitions";
import { Code, type Server, StatusError } from "ttrpc-ts";
import { forwardConnections } from "./forward.ts";
import { createHeldFifos } from "./held-fifos.ts";
import { createHeldLogs } from "./held-logs.ts";
import { mountAll, unmountAll } from "./mount.ts";
import { ownerOfKey, type Process, type ProcessTable } from "./process-table.ts";
import { runCommand } from "./run.ts";
import { continueProcess, spawnProcess } from "./spawn.ts";
import { createVsockBridges } from "./vsock-bridge.ts";

/**
 * Serves kuasar.monitor.v1.Monitor (proto/src/kuasar/monitor/v1/monitor.proto) over the table's processes.
 * @param onOom told of processes killed for lack of memory where they cannot be seen; by default nobody asks
 */
export function registerMonitor(
  server: Server,
  table: ProcessTable,
  onOom: (id: string, kills: number) => void = () => {},
): void {
  const fifos = createHeldFifos();
  const logs = createHeldLogs();
  const bridges = createVsockBridges();
  server.register(MonitorService, {
    spawn: async (request) => ({ pid: await spawnProcess(table, requireKey(request)) }),
    continue: async ({ key }) => {
      await continueProcess(table, key);
      return {};
    },
    run: (request, context) => runCommand(table, request, context.signal),
    cancel: ({ owner }) => {
      table.running.cancel(owner);
      return {};
    },
    wait: async ({ key }) => {
      const process = await table.wait(key);
      return { pid: process.pid, exitStatus: process.exit?.status ?? 255, exitedAt: exitedAt(process) };
    },
    list: () => ({
      processes: Array.from(table.list(), (process) => ({
        key: process.key,
        pid: process.pid,
        exited: process.exit !== undefined,
        exitStatus: process.exit?.status ?? 0,
        exitedAt: exitedAt(process),
      })),
    }),
    signal: ({ key, signal }) => {
      table.signal(key, signal);
      return {};
    },
    adopt: (request) => {
      table.adopt(requireKey(request).key, request.pid, request.startTime);
      return {};
    },
    resize: ({ key, width, height }) => {
      // As with the runc shim, a process without a terminal has nothing to resize, and that is no error.
      table.get(key).stdio?.terminal?.resize(width, height);
      return {};
    },
    closeStdin: ({ key }) => {
      table.get(key).stdio?.closeStdin();
      return {};
    },
    hold: (request) => {
      fifos.hold(requireKey(request).key, request.fifos);
      return {};
    },
    openLog: async (request) => {
      const { key } = requireKey(request);
      await logs.open(key, request, { ...ownerOfKey(key), namespace: table.namespace });
      return {};
    },
    reportOom: ({ id, kills }) => {
      onOom(id, kills);
      return {};
    },
    forward: (request) => {
      forwardConnections(table, request);
      return {};
    },
    serveVsock: (request) => {
      bridges.serve(requireKey(request).key, request.path, request.cid);
      return {};
    },
    release: ({ key }) => {
      table.release(key);
      bridges.release(key);
      fifos.release(key);
      logs.release(key);
      return {};
    },
    mount: async ({ mounts, target }) => {
      await mountAll(table, mounts, target);
      return {};
    },
    unmount: async ({ target }) => {
      await unmountAll(target);
      return {};
    },
  });
}

function requireKey<T extends { key: string }>(request: T): T {
  if (request.key === "")
    throw new StatusError(Code.INVALID_ARGUMENT, "key: expected a name for the process, got none");
  return request;
}

function exitedAt({ exit }: Process): { seconds: number; nanos: number } | null {
  return exit ? { seconds: exit.seconds, nanos: exit.nanos } : null;
}
