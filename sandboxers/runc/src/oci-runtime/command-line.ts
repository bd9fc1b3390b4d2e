import { rmSync } from "node:fs";
import { join } from "node:path";
import { unknown } from "@kuasar/framework/error/sandbox-error";
import type { Monitor, RunResult, Stdio } from "@kuasar/framework/monitor/monitor";
import { findProgram } from "@kuasar/framework/proc/find-program";
import type { Container, OciRuntime, RuntimeExec } from "./oci-runtime.ts";
import { lastError, runtimeError } from "./runtime-error.ts";

const INIT_PID_FILE = "init.pid";
const LOG_FILE = "log.json";
// Deleting is cleaning up: it is not given up because its caller has.
const DELETE_TIMEOUT_MS = 60_000;
const VERSION_TIMEOUT_MS = 10_000;

/**
 * The command line that runc made and others follow, each command run by the pod's monitor.
 * https://github.com/opencontainers/runtime-tools/blob/master/docs/command-line-interface.md
 */
export interface RuntimeCommands extends Omit<OciRuntime, "isWaiting" | "specVersion"> {
  version(monitor: Monitor): Promise<string>;
}

/** `binary` is a name or a path; it is looked for at every command, since it may be replaced at any time. */
export function createRuntimeCommands(binary: string): RuntimeCommands {
  function program(what: string): string {
    const found = findProgram(binary);
    if (found === undefined) {
      const reason = binary.includes("/") ? "no such file or directory" : "executable file not found in $PATH";
      throw unknown(`${what}: exec: ${JSON.stringify(binary)}: ${reason}`);
    }
    return found;
  }

  function argv(what: string, container: Container, command: readonly string[]): string[] {
    const log = join(container.bundle, LOG_FILE);
    const global = ["--root", container.root, "--log", log, "--log-format", "json"];
    if (container.systemdCgroup) {
      global.push("--systemd-cgroup");
    }
    return [program(what), ...global, ...command];
  }

  interface LeavesProcess {
    readonly stdio: Stdio;
    readonly key: string;
    readonly pidFile: string;
  }

  async function run(
    what: string,
    container: Container,
    command: readonly string[],
    timeoutMs: number,
    process?: LeavesProcess,
  ): Promise<RunResult> {
    const result = await container.monitor.run({
      argv: argv(what, container, command),
      env: environment(),
      cwd: container.bundle,
      timeoutMs,
      owner: container.id,
      ...process,
    });
    if (result.exitStatus !== 0) {
      throw runtimeError(what, join(container.bundle, LOG_FILE), result);
    }
    return result;
  }

  return {
    async create(container, stdio, timeoutMs) {
      const pidFile = join(container.bundle, INIT_PID_FILE);
      const command = ["create", "--bundle", container.bundle, "--pid-file", pidFile];
      if (container.noPivotRoot) {
        command.push("--no-pivot");
      }
      if (container.noNewKeyring) {
        command.push("--no-new-keyring");
      }
      if (stdio.terminal) {
        command.push("--console-socket", stdio.consoleSocket);
      }
      command.push(container.id);
      const process = { stdio, key: container.id, pidFile };
      const { pid } = await run("OCI runtime create failed", container, command, timeoutMs, process);
      return pid;
    },

    async start(container, timeoutMs) {
      await run("OCI runtime start failed", container, ["start", container.id], timeoutMs);
    },

    async exec(container, { execId, processFile, stdio }: RuntimeExec, timeoutMs) {
      const pidFile = join(container.bundle, `${execId}.pid`);
      const command = ["exec", "--process", processFile, "--detach", "--pid-file", pidFile];
      if (stdio.terminal) {
        command.push("--console-socket", stdio.consoleSocket);
      }
      command.push(container.id);
      const process = { stdio, key: `${container.id}/${execId}`, pidFile };
      const { pid } = await run("OCI runtime exec failed", container, command, timeoutMs, process);
      return pid;
    },

    async delete(container, force) {
      const log = join(container.bundle, LOG_FILE);
      // The log's last error must be this command's own.
      rmSync(log, { force: true });
      const what = "failed to delete task";
      if (force && findProgram(binary) === undefined) {
        // Its processes have ended: what a runtime that is not there any more, or never was, has kept is of no use.
        rmSync(join(container.root, container.id), { recursive: true, force: true });
        return;
      }
      const command = force ? ["delete", "--force", container.id] : ["delete", container.id];
      const result = await container.monitor.run({
        argv: argv(what, container, command),
        env: environment(),
        cwd: "/",
        timeoutMs: DELETE_TIMEOUT_MS,
        owner: container.id,
      });
      if (result.exitStatus !== 0) {
        const message = lastError(log) || Buffer.from(result.stderr).toString();
        if (!message.includes("does not exist")) {
          throw runtimeError(what, log, result);
        }
      }
    },

    async pause(container, timeoutMs) {
      await run("OCI runtime pause failed", container, ["pause", container.id], timeoutMs);
    },

    async resume(container, timeoutMs) {
      await run("OCI runtime resume failed", container, ["resume", container.id], timeoutMs);
    },

    async update(container, resourcesFile, timeoutMs) {
      const command = ["update", "--resources", resourcesFile, container.id];
      await run("OCI runtime update failed", container, command, timeoutMs);
    },

    async checkpoint(container, args, timeoutMs) {
      await run("OCI runtime checkpoint failed", container, ["checkpoint", ...args, container.id], timeoutMs);
    },

    async restore(container, args, stdio, timeoutMs) {
      const pidFile = join(container.bundle, INIT_PID_FILE);
      const command = ["restore", "--detach", "--no-subreaper", "--bundle", container.bundle, "--pid-file", pidFile];
      if (container.noPivotRoot) {
        command.push("--no-pivot");
      }
      if (stdio.terminal) {
        command.push("--console-socket", stdio.consoleSocket);
      }
      command.push(...args, container.id);
      const process = { stdio, key: container.id, pidFile };
      const { pid } = await run("OCI runtime restore failed", container, command, timeoutMs, process);
      return pid;
    },

    async version(monitor) {
      const argv = [program("OCI runtime version failed"), "--version"];
      const { stdout } = await monitor.run({ argv, env: environment(), cwd: "/", timeoutMs: VERSION_TIMEOUT_MS });
      return Buffer.from(stdout).toString();
    },
  };
}

// Nothing of the sandboxer's own surroundings, but what finding programs takes.
function environment(): string[] {
  return [`PATH=${process.env.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}`];
}
