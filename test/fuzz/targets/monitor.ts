import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processTable } from "@kuasar/install/process-table";
import { waitUntil } from "@kuasar/install/wait-until";
import { kuasar } from "@kuasar/proto/containerd";
import { MonitorService } from "@kuasar/proto/definitions";
import fc from "fast-check";
import type { FramePeer } from "../frame-peer.ts";
import { fuzzTarget } from "../fuzz-target.ts";
import { type HostileCall, hostileCalls, requireHonest, toCall } from "../hostile-call.ts";
import { nativeProgram, nativeServer } from "../native-server.ts";
import { sanitizerOptions } from "../sanitizer.ts";

const SIGKILL = 9;
const NAMESPACES = [
  [],
  [{ type: "pid", path: "" }],
  [{ type: "user", path: "" }],
  [{ type: "network", path: "/proc/self/ns/net" }],
  [{ type: "uts", path: "/nonesuch" }],
  [{ type: "toString", path: "" }],
];
const STDIO = [
  undefined,
  {},
  { stdout: "$SCRATCH/out", stderr: "$SCRATCH/new/err" },
  { stdin: "$SCRATCH/nonesuch" },
  { stdout: "relative" },
  { stdout: "binary:///bin/true?a=b" },
  { stdout: "binary:///nonesuch" },
  { stdout: "binary:///bin/true?%zz" },
  { terminal: true, consoleSocket: "$SCRATCH/console" },
  { terminal: true, consoleSocket: "$SCRATCH/none/console" },
];

// Nothing here names a file of the host's: whoever calls a monitor may do whatever root may.
const hostile = hostileCalls({
  service: MonitorService,
  sensible: {
    key: ["a", "a", "b", "b/e", ""],
    argv: [["/bin/true"], ["/bin/true"], ["/bin/sleep", "1000"], ["nonesuch"], []],
    env: [["PATH=/bin:/usr/bin"]],
    cwd: ["", "/", "/nonesuch"],
    stdio: STDIO,
    namespaces: NAMESPACES,
    uidMappings: [[], [{ containerId: 0, hostId: 0, size: 1 }]],
    gidMappings: [[], [{ containerId: 0, hostId: 0, size: 1 }]],
    cgroupProcs: [[], [], ["$SCRATCH/cgroup.procs"], ["$SCRATCH/cgroup.procs", "$SCRATCH/cgroup.procs"]],
    pidFile: ["", "", "$SCRATCH/pid"],
    timeoutMs: [0, 50],
    target: ["$SCRATCH/mnt", "$SCRATCH/mnt", "$SCRATCH/none", "$SCRATCH/../x", "mnt", "/", "/./"],
    mounts: [
      [{ type: "tmpfs", source: "tmpfs", target: "", options: ["size=1m"] }],
      [{ type: "nonesuchfs", source: "x", target: "", options: [] }],
      [{ type: "tmpfs", source: "tmpfs", target: "../x", options: [] }],
    ],
    signal: [SIGKILL, SIGKILL, 0, 15],
    pid: [1, 2],
  },
  metadata: { "containerd-namespace-ttrpc": "k8s.io" },
  // What it keeps by a key that is no process's would have to be let go of by a key that nobody knows.
  without: ["OpenLog"],
});

/** kuasar.monitor.v1 of the native monitor: spawn plans, commands, mounts. In namespaces of its own, so that nothing else is harmed. */
export const monitor = fuzzTarget({
  name: "monitor",
  native: true,
  inputs: fc.array(hostile, { minLength: 1, maxLength: 12 }),
  async open() {
    const scratch = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
    mkdirSync(join(scratch, "mnt"));
    writeFileSync(join(scratch, "pid"), "");
    const socket = join(scratch, "m.sock");
    const log = join(scratch, "log");
    // The monitor goes to the background; whoever stays is the first process of the pid namespace.
    const script = `${nativeProgram("kuasar-monitor")} --socket ${socket} 2> ${log}; exec sleep infinity`;
    const unshare = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--ipc", "--net"];
    const inside = spawn("unshare", [...unshare, "sh", "-c", script], {
      stdio: "ignore",
      env: { PATH: process.env.PATH, ...sanitizerOptions(scratch) },
    });
    const pid = await waitUntil(() => monitorPid(socket), { what: `a monitor on ${socket}`, timeoutMs: 10_000 });
    // Of each program that was run a read-only view is kept.
    const programs = [["/bin/true"], ["/bin/sleep", "0"]];
    const calls = programs.map((argv) => ({
      service: MonitorService.name,
      method: "Run",
      payload: MonitorService.methods.run.input.encode({ argv }),
    }));
    const server = await nativeServer(pid, socket, { log, scratch }, calls);

    return {
      async feed(input: readonly HostileCall[]) {
        const peer = await server.connect();
        const others: Promise<void>[] = [];
        const waits: Promise<void>[] = [];
        for (const call of input) {
          const answered = peer
            .call(toCall(MonitorService, call, { $SCRATCH: scratch }))
            .then((answer) => requireHonest(answer, call.method));
          answered.catch(() => undefined);
          if (call.method === "Wait") waits.push(answered);
          // A command without a limit runs until its caller has gone.
          else if (call.method === "Run") others.push(answered.catch(notForever));
          else if (call.alongside) others.push(answered);
          else await answered;
        }
        await Promise.race([Promise.all(others), new Promise((resolve) => setTimeout(resolve, 200))]);
        await endAll(server.first);
        await Promise.all(waits);
        peer.close();
        await waitUntil(() => processTable().every(({ ppid }) => ppid !== pid), {
          what: "the end of every process of the monitor's",
          timeoutMs: 5_000,
        });
        const strange = readdirSync(scratch).filter((name) => !KNOWN.has(name));
        if (strange.length > 0) throw new Error(`left behind: ${strange.join(", ")}`);
        await server.requireSound({ more: 0 });
      },
      async close() {
        inside.kill("SIGKILL");
        if (inside.exitCode === null && inside.signalCode === null) await once(inside, "exit");
        rmSync(scratch, { recursive: true });
      },
    };
  },
});

const KNOWN = new Set(["mnt", "pid", "m.sock", "log", "out", "new"]);

function notForever(error: Error): void {
  if (!/closed instead of an answer|no end after/.test(error.message)) throw error;
}

/** Once the one that was started has gone to the background: the shell beside it goes on to be a sleep then. */
function monitorPid(socket: string): number | undefined {
  if (!existsSync(socket)) return undefined;
  const running = processTable().filter(({ state }) => state !== "Z");
  const found = running.find(({ argv }) => argv[1] === "--socket" && argv[2] === socket);
  const parent = running.find(({ pid }) => pid === found?.ppid);
  return parent?.argv[0] === "sleep" ? found?.pid : undefined;
}

/** Kills, waits for and forgets every process. */
async function endAll(peer: FramePeer): Promise<void> {
  const api = kuasar.monitor.v1;
  const ask = async (method: string, payload: Uint8Array) => {
    const answer = await peer.call({ service: MonitorService.name, method, payload });
    requireHonest(answer, method);
    return answer.payload;
  };
  const { processes } = api.ListResponse.decode(await ask("List", api.ListRequest.encode({})));
  for (const { key } of processes) {
    await ask("Signal", api.SignalRequest.encode({ key, signal: SIGKILL }));
    await ask("Wait", api.WaitRequest.encode({ key }));
    await ask("Release", api.ReleaseRequest.encode({ key }));
  }
}
