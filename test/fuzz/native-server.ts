import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { programPath } from "@kuasar/install/programs";
import { waitUntil } from "@kuasar/install/wait-until";
import { connect } from "ttrpc-ts/node";
import { type Call, FramePeer } from "./frame-peer.ts";
import { sanitizerReport } from "./sanitizer.ts";

/** One of our native programs: in dist/bin, or of a build with sanitizers in KUASAR_FUZZ_PROGRAMS. */
export function nativeProgram(name: string): string {
  const folder = process.env.KUASAR_FUZZ_PROGRAMS;
  return folder ? join(folder, name) : programPath(name);
}

/** A process of ours that serves a socket. */
export interface NativeServer {
  readonly pid: number;
  /** A connection that stays open. */
  readonly first: FramePeer;
  /** Throws when it has ended. */
  connect(): Promise<FramePeer>;
  /** Throws unless it lives, has no more descriptors open than it began with and `more`, and its log has no faults. */
  requireSound(options?: { readonly more?: number }): Promise<void>;
  residentKib(): number;
  kill(): Promise<void>;
}

const FAULT = /an error that nothing handled|runtime error|Sanitizer/;
const DEADLINE_MS = 5_000;

/** Where a server writes: its log, and the folder of sanitizerOptions(). */
export interface Traces {
  readonly log: string;
  readonly scratch: string;
}

/** Makes first calls, so that everything is there which stays. */
export async function nativeServer(
  pid: number,
  socket: string,
  { log, scratch }: Traces,
  calls: readonly Call[],
): Promise<NativeServer> {
  const folder = `/proc/${pid}`;
  let before: readonly string[] = [];
  const status = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(statusText(folder))?.[1];
  const alive = () => existsSync(`${folder}/fd`) && status("State") !== "Z";
  const logText = () => (existsSync(log) ? readFileSync(log, "utf8").slice(-4000) : "");
  const report = () => sanitizerReport(scratch) || logText();
  const requireAlive = () => {
    if (!alive()) throw new Error(`process ${pid} has ended: ${report()}`);
  };
  const server = {
    pid,
    first: undefined as unknown as FramePeer,
    async connect() {
      requireAlive();
      return new FramePeer(await connect(socket, { timeoutMs: DEADLINE_MS }));
    },
    async requireSound({ more = 0 } = {}) {
      requireAlive();
      const settled = () => descriptors(pid).length <= before.length + more;
      await waitUntil(settled, { what: "descriptors to be closed", timeoutMs: DEADLINE_MS }).catch(() => {
        throw new Error(`descriptors are left open: ${descriptors(pid).join(" ")}; before: ${before.join(" ")}`);
      });
      if (FAULT.test(report())) throw new Error(`its log: ${report()}`);
    },
    residentKib: () => Number(status("VmRSS")),
    async kill() {
      server.first.close();
      if (alive()) process.kill(pid, "SIGKILL");
      await waitUntil(() => !alive(), { what: `the end of process ${pid}`, timeoutMs: DEADLINE_MS });
    },
  };
  server.first = await server.connect();
  for (const call of calls) await server.first.call(call);
  before = descriptors(pid);
  return server;
}

function statusText(folder: string): string {
  try {
    return readFileSync(`${folder}/status`, "utf8");
  } catch {
    // It has just ended.
    return "";
  }
}

function descriptors(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return [`${fd}=${readlinkSync(join(folder, fd))}`];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}
