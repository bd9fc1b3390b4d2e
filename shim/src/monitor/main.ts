import "../platform/globals.ts";
import * as sys from "sys";
import { createServer } from "ttrpc-ts";
import { createLog } from "../log.ts";
import { removeIfThere } from "../platform/files.ts";
import { runLoop, setUncaughtHandler, startTimer } from "../platform/loop.ts";
import { canConnect, serveConnections } from "../platform/unix-socket.ts";
import { VERSION } from "../version.ts";
import { createProcessTable } from "./process-table.ts";
import { registerMonitor } from "./service.ts";

const USAGE = `Usage: kuasar-monitor --socket PATH
       kuasar-monitor --version

The parent of one pod's processes, for a pod without a shim of ours. A sandboxer starts it; it goes to the background
when it serves the socket, and ends when its last process has been released and nobody is connected.
`;

const PR_SET_CHILD_SUBREAPER = 36;
const BACKLOG = 16;
const IDLE_CHECK_MS = 10_000;

function listen(path: string): number {
  if (!path.startsWith("/")) throw new Error(`--socket: expected an absolute path, got ${JSON.stringify(path)}`);
  if (canConnect(path)) throw new Error(`--socket: ${path} is served already`);
  removeIfThere(path);
  return sys.listen(path, BACKLOG);
}

function serve(path: string, listener: number): never {
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

/** Away from the session, the stdio and, by a second fork, the children of whoever started it. */
function detach(): void {
  if (sys.fork(0, -1) !== 0) sys.exit(0);
  sys.setsid();
  sys.chdir("/");
  const nowhere = sys.open("/dev/null", sys.O_RDWR, 0);
  for (const fd of [0, 1, 2]) sys.dup2(nowhere, fd);
}

function main(args: readonly string[]): void {
  const [flag, value] = args;
  const write = (text: string) => {
    const bytes = sys.encodeUtf8(text);
    sys.write(1, bytes, 0, bytes.byteLength);
  };
  if (flag === "--version" || flag === "--help") {
    write(flag === "--help" ? USAGE : `kuasar-monitor ${VERSION}\n`);
    return;
  }
  if (flag !== "--socket" || !value || args.length > 2) throw new Error(`expected --socket PATH\n\n${USAGE}`);
  const listener = listen(value);
  detach();
  serve(value, listener);
}

try {
  main(sys.arguments().slice(1));
  sys.exit(0);
} catch (error) {
  const text = sys.encodeUtf8(`kuasar-monitor: ${(error as Error).message}\n`);
  sys.write(2, text, 0, text.byteLength);
  sys.exit(1);
}
