import "../platform/globals.ts";
import * as sys from "sys";
import { createServer } from "ttrpc-ts";
import { createLog } from "../log.ts";
import { removeIfThere } from "../platform/files.ts";
import { runLoop, setUncaughtHandler, startTimer } from "../platform/loop.ts";
import { serveConnections } from "../platform/unix-socket.ts";
import { createProcessTable } from "./process-table.ts";
import { registerMonitor } from "./service.ts";

export interface MonitorSettings {
  /** Where the monitor listens. */
  readonly path: string;
  readonly listener: number;
}

const PR_SET_CHILD_SUBREAPER = 36;
const IDLE_CHECK_MS = 10_000;

function serve({ path, listener }: MonitorSettings): never {
  sys.prctl(PR_SET_CHILD_SUBREAPER, 1);
  sys.openLoop();
  const log = createLog({ monitor: path }, false);
  setUncaughtHandler((error) => log.error("an error that nothing handled", { error, stack: (error as Error).stack }));
  const table = createProcessTable();
  const server = createServer({ onError: (error) => log.warn("ttrpc", { error }) });
  registerMonitor(server, table);
  serveConnections(listener, (transport) => server.serve(transport));
  const endIfIdle = () => {
    if (server.connections > 0 || table.list()[Symbol.iterator]().next().done === false) {
      startTimer(endIfIdle, IDLE_CHECK_MS);
      return;
    }
    removeIfThere(path);
    sys.exit(0);
  };
  startTimer(endIfIdle, IDLE_CHECK_MS);
  runLoop();
}

serve(JSON.parse(sys.inheritance()) as MonitorSettings);
