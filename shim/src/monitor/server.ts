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
/** For the first connection. */
const UNUSED_MS = 10_000;

function serve({ path, listener }: MonitorSettings): void {
  sys.prctl(PR_SET_CHILD_SUBREAPER, 1);
  sys.openLoop();
  const log = createLog({ monitor: path }, false);
  setUncaughtHandler((error) => log.error("an error that nothing handled", { error, stack: (error as Error).stack }));
  const table = createProcessTable();
  const server = createServer({ onError: (error) => log.warn("ttrpc", { error }) });
  registerMonitor(server, table);
  serveConnections(listener, (transport) => server.serve(transport));
  // Whoever started it may be restarted while its processes run; without processes there is nothing to come back to.
  const endIfIdle = () => {
    const idle = server.connections === 0 && table.list()[Symbol.iterator]().next().done === true;
    if (!idle) return;
    removeIfThere(path);
    sys.exit(0);
  };
  server.onIdle = endIfIdle;
  startTimer(endIfIdle, UNUSED_MS);
  runLoop();
}

Object.assign(globalThis, { main: () => serve(JSON.parse(sys.inheritance()) as MonitorSettings) });
