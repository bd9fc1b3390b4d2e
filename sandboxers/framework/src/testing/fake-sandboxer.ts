import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, errorText, invalidArgument, isCode, notFound, unavailable } from "../error/sandbox-error.ts";
import type { SpawnRequest } from "../monitor/monitor.ts";
import { goPlatform } from "../sandbox/platform.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Sandboxer, WholeSandbox } from "../sandbox/sandboxer.ts";
import type { Task } from "../task/task.ts";
import { processKey } from "../task/task-record.ts";

const SIGKILL = 9;

export interface FakeSandboxer extends Sandboxer {
  readonly created: string[];
  readonly discarded: string[];
  /** What was done to sandboxes as a whole: "pause pod". "pause" fails for one that is called "restless". */
  readonly whole: WholeSandbox & { readonly done: string[] };
  /** A test may have it undo what a former process of it was starting. */
  undoStart?: (sandbox: Sandbox) => Promise<void>;
  interruptStart?: (sandbox: Sandbox) => void;
  /** Why sandboxes end. */
  reason?: string;
}

/** For tests only: sandboxes and tasks that are plain processes, `command` in the bundle telling which. */
export function createFakeSandboxer(): FakeSandboxer {
  const created: string[] = [];
  const done: string[] = [];
  const discarded: string[] = [];

  async function end(sandbox: Sandbox, key: string): Promise<void> {
    try {
      await sandbox.monitor.signal(key, SIGKILL);
      await sandbox.monitor.wait(key);
    } catch (error) {
      if (!isCode(error, ErrorCode.NOT_FOUND)) {
        throw error;
      }
    }
    await sandbox.monitor.release(key);
  }

  const keys = (task: Task) => ["", ...Object.keys(task.record.execs)].map((execId) => processKey(task.id, execId));

  const fake: FakeSandboxer = {
    created,
    discarded,
    kind: "fake",
    whole: {
      done,
      async pause({ id }) {
        done.push(`pause ${id}`);
        if (id === "restless") {
          throw unavailable("it does not stand still");
        }
      },
      async resume({ id }) {
        done.push(`resume ${id}`);
      },
      async update({ id }, resources) {
        done.push(`update ${id} ${JSON.stringify(resources)}`);
      },
    },
    platform: goPlatform(),
    parseOptions(options) {
      if (options?.typeUrl === "bad") {
        throw invalidArgument("bad options");
      }
      return {};
    },
    async create(sandbox, request) {
      created.push(request.id);
      if (request.netnsPath === "/fails") {
        throw invalidArgument("the network namespace fails");
      }
      sandbox.update({ engine: { made: true } });
    },
    start: (sandbox) => sandbox.monitor.spawn(spawnRequest(sandbox.id, ["/bin/sleep", "1000"])),
    wait: async (sandbox) => {
      const { exit } = await sandbox.monitor.wait(sandbox.id);
      return { ...exit, ...(fake.reason !== undefined && { reason: fake.reason }) };
    },
    stop: (sandbox) => end(sandbox, sandbox.id),
    async remove() {},
    tasks: {
      async create(sandbox, task) {
        const command = commandIn(task.bundle);
        if (command === "fail") {
          throw invalidArgument("the runtime fails");
        }
        return await sandbox.monitor.spawn(spawnRequest(task.id, ["/bin/sh", "-c", command]));
      },
      start: async (_sandbox, task) => task.record.pid,
      hasStarted: async () => true,
      async delete(sandbox, task) {
        await Promise.all(keys(task).map((key) => end(sandbox, key)));
      },
      async discard(sandbox, task) {
        discarded.push(task.id);
        await Promise.all(keys(task).map((key) => end(sandbox, key)));
      },
      interrupt: (sandbox, task) => sandbox.monitor.cancel(task.id),
      startExec: (sandbox, task, exec) =>
        sandbox.monitor.spawn(
          spawnRequest(processKey(task.id, exec.id), (JSON.parse(exec.spec ?? "{}") as { args: string[] }).args),
        ),
      deleteExec: (sandbox, task, execId) => sandbox.monitor.release(processKey(task.id, execId)),
      wait: async (sandbox, task, execId) => (await sandbox.monitor.wait(processKey(task.id, execId))).exit,
      async initExited() {},
      async signal(sandbox, task, execId, signal, all) {
        for (const key of all ? keys(task) : [processKey(task.id, execId)]) {
          try {
            await sandbox.monitor.signal(key, signal);
          } catch (error) {
            if (!isCode(error, ErrorCode.NOT_FOUND)) throw error;
            if (!all) throw notFound("process already finished");
          }
        }
      },
      async pause() {},
      async resume() {},
      async update() {},
      async checkpoint() {},
      async resize() {},
      async closeStdin() {},
      pids: (_sandbox, task) => [task.record.pid],
      async stats() {
        return { version: 2, metrics: { pids: { current: 1, limit: 2 } } };
      },
    },
  };
  return fake;
}

function commandIn(bundle: string): string {
  try {
    return readFileSync(join(bundle, "command"), "utf8");
  } catch (error) {
    throw invalidArgument(`the bundle has no command: ${errorText(error)}`);
  }
}

function spawnRequest(key: string, argv: string[]): SpawnRequest {
  return {
    key,
    argv,
    env: [],
    cwd: "/",
    namespaces: [],
    uidMappings: [],
    gidMappings: [],
    cgroupProcs: [],
    hostname: "",
    domainname: "",
    sysctls: {},
    emptyRoot: false,
    parentDeathSignal: 0,
  };
}
