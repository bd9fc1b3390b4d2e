import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { ErrorCode, errorText, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Stdio } from "@kuasar/framework/monitor/monitor";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { TaskIo } from "@kuasar/framework/task/task-record";
import type { Guest } from "../guest/guest.ts";
import type { Machines } from "../machine/machine.ts";
import { machineFolder } from "../machine/machine-folder.ts";
import { processOutputs, requireThere } from "./output-targets.ts";
import { forgetProgress, type StdioPump, startStdioPump } from "./stdio-pump.ts";

/** The stdio of processes in machines: the guest's ends, the host's, and what copies between them. */
export interface TaskStdio {
  /** The one that copies, or a new one, which goes on where that of an earlier process of this sandboxer was. */
  pump(sandbox: Sandbox, key: string, io: TaskIo): StdioPump;
  /** Has the guest make a process's stdio, and copies between it and the host's. */
  open(sandbox: Sandbox, guest: Guest, key: string, io: TaskIo): Promise<Stdio>;
  close(sandbox: Sandbox, key: string): Promise<void>;
}

export function createTaskStdio(machines: Machines, log: Logger): TaskStdio {
  function pump(sandbox: Sandbox, key: string, io: TaskIo): StdioPump {
    const { guest, pumps } = machines.of(sandbox);
    const progress = progressFile(sandbox, key);
    const { stdin } = io;
    const made =
      pumps.get(key) ?? startStdioPump({ guest, key, stdin, outputs: processOutputs(io, progress), progress, log });
    pumps.set(key, made);
    return made;
  }

  return {
    pump,

    async open(sandbox, guest, key, io) {
      const { monitor } = sandbox;
      requireThere(io);
      const progress = progressFile(sandbox, key);
      const { stdout, stderr, log: uris } = processOutputs(io, progress);
      mkdirSync(dirname(progress), { recursive: true, mode: 0o700 });
      const wanted = { stdin: io.stdin !== "", stdout: stdout !== undefined, stderr: stderr !== undefined };
      const paths = await anew(
        () => guest.openIo(key, wanted),
        () => guest.closeIo(key),
      );
      const fifos = [io.stdin, ...[stdout, stderr].map((target) => (target?.kind === "fifo" ? target.path : ""))];
      await anew(
        async () => {
          await monitor.hold(
            key,
            fifos.filter((path) => path !== ""),
          );
          if (uris) await monitor.openLog(key, uris);
        },
        () => monitor.release(key),
      );
      pump(sandbox, key, io);
      const consoleSocket = io.terminal ? `/run/kuasar/pty-${Buffer.from(key).toString("hex").slice(0, 60)}` : "";
      return { ...paths, terminal: io.terminal, consoleSocket, uid: 0, gid: 0 };
    },

    async close(sandbox, key) {
      await sandbox.monitor.release(key);
      if (!machines.isOver(sandbox)) {
        const { guest, pumps } = machines.of(sandbox);
        pumps.get(key)?.close();
        pumps.delete(key);
        // What a guest does not forget is within its machine.
        await Promise.all([guest.processes.release(key), guest.closeIo(key)]).catch((error: unknown) =>
          log.debug({ sandbox: sandbox.id, key, err: errorText(error) }, "stdio is left in a machine"),
        );
      }
      forgetProgress(progressFile(sandbox, key));
    },
  };
}

/** Makes what may be left of an attempt that a former process of this sandboxer was killed over. */
async function anew<T>(make: () => Promise<T>, forget: () => Promise<void>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (!isCode(error, ErrorCode.ALREADY_EXISTS)) throw error;
  }
  await forget();
  return await make();
}

function progressFile(sandbox: Sandbox, key: string): string {
  return join(machineFolder(sandbox), "io", createHash("sha256").update(key).digest("hex").slice(0, 16));
}
