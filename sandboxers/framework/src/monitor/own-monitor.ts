import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { failedPrecondition, invalidArgument, unavailable } from "../error/sandbox-error.ts";
import { findProgram } from "../proc/find-program.ts";
import type { Monitor } from "./monitor.ts";
import { createMonitorClient } from "./monitor-client.ts";

const PROGRAM = "kuasar-monitor";
const START_TIMEOUT_MS = 5_000;
// sun_path has 108 bytes, and console sockets are named after the monitor's with a suffix.
const SOCKET_PATH_MAX = 95;

/** Connects to monitors, and starts one for a sandbox that nobody brought a monitor for. */
export interface Monitors {
  connect(address: string): Monitor;
  /**
   * `name` is unique among sandboxes, and gives the socket its own name. The monitor ends by itself once its last
   * process has been released and nobody is connected any more.
   */
  launch(name: string): Promise<Monitor>;
}

/** `directory` is where the sockets of own monitors are; `folders` where the program is looked for before $PATH. */
export function createMonitors(directory: string, folders: readonly string[]): Monitors {
  return {
    connect: createMonitorClient,

    async launch(name) {
      const program = findProgram(PROGRAM, [...folders, process.env.PATH ?? ""].join(":"));
      if (program === undefined) {
        throw failedPrecondition(`the program ${PROGRAM} is neither in ${folders.join(", ")} nor in $PATH`);
      }
      // Short, whatever the sandbox is called, and never one that a former monitor is still about to remove.
      const unique = `${name} ${process.pid} ${process.hrtime.bigint()}`;
      const socket = join(directory, `${createHash("sha256").update(unique).digest("hex").slice(0, 16)}.sock`);
      if (Buffer.byteLength(socket) > SOCKET_PATH_MAX) {
        throw invalidArgument(`${socket} is too long for a socket: at most ${SOCKET_PATH_MAX} bytes`);
      }
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      await start(program, socket);
      return createMonitorClient(`unix://${socket}`);
    },
  };
}

/** The program serves the socket by the time it has gone to the background. */
function start(program: string, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ["--socket", socket], {
      stdio: ["ignore", "ignore", "pipe"],
      cwd: "/",
      detached: true,
    });
    let complaint = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
    child.stderr.on("data", (text: Buffer) => {
      complaint += text;
    });
    child.on("error", (error) => {
      complaint = error.message;
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) {
        resolve();
      } else {
        reject(
          unavailable(`${program} does not serve ${socket}: ${complaint.trim() || `it ended with ${signal ?? code}`}`),
        );
      }
    });
  });
}
