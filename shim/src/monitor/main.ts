import "../platform/globals.ts";
import * as sys from "sys";
import { childCode } from "../child/child-code.ts";
import { runChild } from "../platform/child-task.ts";
import { removeIfThere } from "../platform/files.ts";
import { canConnect } from "../platform/unix-socket.ts";
import { VERSION } from "../version.ts";
import type { MonitorSettings } from "./server.ts";

const USAGE = `Usage: kuasar-monitor --socket PATH
       kuasar-monitor --version

The parent of one pod's processes, for a pod without a shim of ours. A sandboxer starts it; it goes to the background
when it serves the socket, and ends when its last process has been released and nobody is connected.
`;

const BACKLOG = 16;

function listen(path: string): number {
  if (!path.startsWith("/")) throw new Error(`--socket: expected an absolute path, got ${JSON.stringify(path)}`);
  if (canConnect(path)) throw new Error(`--socket: ${path} is served already`);
  removeIfThere(path);
  return sys.listen(path, BACKLOG);
}

/** Away from the session, the stdio and, by a second fork, the children of whoever started it. */
function detach(): void {
  if (sys.fork(0, -1) !== 0) sys.exit(0);
  sys.setsid();
  sys.chdir("/");
  const nowhere = sys.open("/dev/null", sys.O_RDWR, 0);
  for (const fd of [0, 1, 2]) sys.dup2(nowhere, fd);
  if (nowhere > 2) sys.close(nowhere);
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
  sys.becomeServer(JSON.stringify({ path: value, listener } satisfies MonitorSettings));
}

function run(): never {
  try {
    main(sys.arguments().slice(1));
    sys.exit(0);
  } catch (error) {
    const text = sys.encodeUtf8(`kuasar-monitor: ${(error as Error).message}\n`);
    sys.write(2, text, 0, text.byteLength);
    sys.exit(1);
  }
}

Object.assign(globalThis, { main: run, child: () => runChild(childCode) });
