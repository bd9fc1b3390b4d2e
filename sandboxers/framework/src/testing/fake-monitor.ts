import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { constants } from "node:os";
import { kill } from "node:process";
import { MonitorService } from "@kuasar/proto/definitions";
import { Code, createServer, StatusError } from "ttrpc-ts";
import { listen } from "ttrpc-ts/node";
import { errno } from "../error/sandbox-error.ts";
import { createDeferred, type Deferred } from "../sandbox/deferred.ts";
import { type Exit, now } from "../sandbox/exit.ts";

/**
 * For tests only: a monitor that runs real processes as children of the test, on a real socket, without any of the
 * namespaces, cgroups, credentials and mounts that the native one deals in. Mounts are merely written down.
 */
export interface FakeMonitor {
  readonly address: string;
  readonly mounted: string[];
  readonly released: string[];
  /** As if the monitor had been killed: the socket refuses, the processes live on. */
  die(): Promise<void>;
  /** Ends the processes as well. */
  close(): Promise<void>;
}

interface FakeProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Deferred<Exit>;
  exit?: Exit;
}

export async function startFakeMonitor(path: string): Promise<FakeMonitor> {
  const processes = new Map<string, FakeProcess>();
  /** Leaders of process groups: a shell's children end with it, as in a pid namespace. */
  const leaders = new Set<number>();
  const endGroup = (pid: number) => {
    leaders.delete(pid);
    try {
      kill(-pid, "SIGKILL");
    } catch (error) {
      if (errno(error) !== "ESRCH") throw error;
    }
  };
  const mounted: string[] = [];
  const released: string[] = [];
  const server = createServer();
  const known = (key: string): FakeProcess => {
    const process = processes.get(key);
    if (process === undefined) {
      throw new StatusError(Code.NOT_FOUND, `no process ${key}`);
    }
    return process;
  };
  server.register(MonitorService, {
    async spawn({ key, argv }) {
      if (processes.has(key)) {
        throw new StatusError(Code.ALREADY_EXISTS, `a process with the key ${key} exists`);
      }
      const child = spawn(argv[0] ?? "", argv.slice(1), { stdio: "ignore", detached: true });
      const leader = child.pid;
      if (leader !== undefined) {
        leaders.add(leader);
        child.once("exit", () => endGroup(leader));
      }
      const pid = await new Promise<number>((resolve, reject) => {
        child.once("spawn", () => resolve(child.pid ?? 0));
        child.once("error", (error) => reject(new StatusError(Code.FAILED_PRECONDITION, error.message)));
      });
      const process: FakeProcess = { child, pid, exited: createDeferred() };
      processes.set(key, process);
      child.once("exit", (code, signal) => {
        process.exit = { status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), at: now() };
        process.exited.resolve(process.exit);
      });
      return { pid };
    },
    continue({ key }) {
      known(key);
      return {};
    },
    async wait({ key }) {
      const { pid, exited } = known(key);
      const { status, at } = await exited.promise;
      return { pid, exitStatus: status, exitedAt: at };
    },
    list: () => ({
      processes: [...processes].map(([key, { pid, exit }]) => ({
        key,
        pid,
        exited: exit !== undefined,
        exitStatus: exit?.status ?? 0,
        exitedAt: exit?.at,
      })),
    }),
    signal({ key, signal }) {
      const process = known(key);
      if (process.exit !== undefined) {
        throw new StatusError(Code.NOT_FOUND, `process ${key} has exited`);
      }
      process.child.kill(signal);
      return {};
    },
    hold: () => ({}),
    openLog: () => ({}),
    reportOom: () => ({}),
    release({ key }) {
      const process = processes.get(key);
      if (process !== undefined && process.exit === undefined) {
        throw new StatusError(Code.FAILED_PRECONDITION, `process ${process.pid} (${key}) has not exited`);
      }
      processes.delete(key);
      released.push(key);
      return {};
    },
    mount({ target }) {
      mounted.push(target);
      return {};
    },
    unmount({ target }) {
      mounted.splice(mounted.indexOf(target) >>> 0, 1);
      return {};
    },
    resize: () => ({}),
    closeStdin: () => ({}),
  });
  const listener = await listen(path, (transport) => server.serve(transport));
  const die = async () => {
    await listener.close();
    server.close();
    rmSync(path, { force: true });
  };
  return {
    address: `unix://${path}`,
    mounted,
    released,
    die,
    async close() {
      await die();
      for (const pid of [...leaders]) {
        endGroup(pid);
      }
    },
  };
}
