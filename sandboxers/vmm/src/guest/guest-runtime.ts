import { ErrorCode, isCode, notFound, unknown } from "@kuasar/framework/error/sandbox-error";
import type { RunRequest, Stdio } from "@kuasar/framework/monitor/monitor";
import { lastErrorIn } from "@kuasar/runc-sandboxer/oci-runtime/runtime-error";
import { boundedText } from "./bounded-text.ts";
import type { Guest } from "./guest.ts";
import { inRuncWords } from "./runtime-words.ts";

const BUNDLES = "/run/kuasar/bundles";
const ROOT = "/run/kuasar/runtime";
/** runc or crun, whichever the guest image was made with. */
const PROGRAM = "/bin/oci-runtime";
const ENVIRONMENT = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
const DELETE_TIMEOUT_MS = 30_000;
const KILL_TIMEOUT_MS = 10_000;

/** The OCI runtime in the guest, whose files are the guest's. Everything throws SandboxError, with the runtime's words. */
export interface GuestRuntime {
  create(id: string, spec: unknown, stdio: Stdio, timeoutMs: number): Promise<void>;
  start(id: string, timeoutMs: number): Promise<void>;
  exec(id: string, execId: string, process: unknown, stdio: Stdio, timeoutMs: number): Promise<void>;
  delete(id: string, force: boolean): Promise<void>;
  pause(id: string, timeoutMs: number): Promise<void>;
  resume(id: string, timeoutMs: number): Promise<void>;
  update(id: string, resources: unknown, timeoutMs: number): Promise<void>;
  /** Signals every process of the container. NOT_FOUND where the runtime knows of no such container any more. */
  killAll(id: string, signal: number): Promise<void>;
}

export function createGuestRuntime(guest: Guest): GuestRuntime {
  const bundle = (id: string) => `${BUNDLES}/${id}`;
  const log = (id: string) => `${bundle(id)}/log.json`;
  const file = (path: string, content: unknown) => ({
    path,
    content: Buffer.from(JSON.stringify(content)),
    mode: 0o600,
  });

  async function run(
    what: string,
    id: string,
    command: readonly string[],
    rest: Partial<RunRequest> & { timeoutMs: number },
  ) {
    const argv = [PROGRAM, "--root", ROOT, "--log", log(id), "--log-format", "json", ...command];
    const { exitStatus, stderr } = await guest.processes.run({ argv, env: ENVIRONMENT, cwd: "/", owner: id, ...rest });
    if (exitStatus === 0) return;
    const logged = (await guest.readFiles([log(id)])).get(log(id)) ?? "";
    const said = lastErrorIn(logged) || Buffer.from(stderr).toString().trim() || `exit status ${exitStatus}`;
    throw unknown(`${what}: ${inRuncWords(boundedText(said))}`);
  }

  return {
    async create(id, spec, stdio, timeoutMs) {
      await guest.writeFiles([file(`${bundle(id)}/config.json`, spec)]);
      const pidFile = `${bundle(id)}/init.pid`;
      const command = ["create", "--bundle", bundle(id), "--pid-file", pidFile, ...consoleArgs(stdio), id];
      await run("OCI runtime create failed", id, command, { stdio, key: id, pidFile, timeoutMs });
    },
    async start(id, timeoutMs) {
      if (await letGo(guest, id)) return;
      await run("OCI runtime start failed", id, ["start", id], { timeoutMs });
    },
    async exec(id, execId, process, stdio, timeoutMs) {
      const processFile = `${bundle(id)}/${execId}.json`;
      const pidFile = `${bundle(id)}/${execId}.pid`;
      await guest.writeFiles([file(processFile, process)]);
      const command = ["exec", "--process", processFile, "--detach", "--pid-file", pidFile, ...consoleArgs(stdio), id];
      try {
        await run("OCI runtime exec failed", id, command, { stdio, key: `${id}/${execId}`, pidFile, timeoutMs });
      } finally {
        await guest.remove([processFile, pidFile]);
      }
    },
    async delete(id, force) {
      try {
        await run("failed to delete task", id, ["delete", ...(force ? ["--force"] : []), id], {
          timeoutMs: DELETE_TIMEOUT_MS,
        });
      } catch (error) {
        if (!/does not exist|No such file/i.test((error as Error).message)) throw error;
      }
      // With what an exec or an update that was cut off has left in it.
      await guest.remove([bundle(id)]);
    },
    pause: (id, timeoutMs) => run("OCI runtime pause failed", id, ["pause", id], { timeoutMs }),
    resume: (id, timeoutMs) => run("OCI runtime resume failed", id, ["resume", id], { timeoutMs }),
    async update(id, resources, timeoutMs) {
      const path = `${bundle(id)}/update.json`;
      await guest.writeFiles([file(path, resources)]);
      try {
        await run("OCI runtime update failed", id, ["update", "--resources", path, id], { timeoutMs });
      } finally {
        await guest.remove([path]);
      }
    },
    async killAll(id, signal) {
      try {
        const command = ["kill", "--all", id, String(signal)];
        await run("OCI runtime kill failed", id, command, { timeoutMs: KILL_TIMEOUT_MS });
      } catch (error) {
        // Half removed, by a delete that is to be called again: containerd does so only after this has told it.
        throw isUnknownContainer(error) ? notFound("process already finished") : error;
      }
    },
  };
}

/** By which a created container waits to be started; it goes with its start. */
export const execFifo = (id: string) => `${ROOT}/${id}/exec.fifo`;

/**
 * What `crun start` does: a byte into the FIFO that the container's init reads from. False where nobody does, as with runc,
 * whose init writes: then the runtime knows better. Contract: libcrun_status_write_exec_fifo in crun's status.c.
 */
async function letGo(guest: Guest, id: string): Promise<boolean> {
  try {
    await guest.writeFiles([{ path: execFifo(id), content: Buffer.from("1"), mode: 0o600 }]);
  } catch (error) {
    if (isCode(error, ErrorCode.UNAVAILABLE) || isCode(error, ErrorCode.DEADLINE_EXCEEDED)) throw error;
    return false;
  }
  await guest.remove([execFifo(id)]);
  return true;
}

/** In runc's words, and crun's, of the file that it keeps of each. */
const isUnknownContainer = (error: unknown) =>
  /container does not exist|\/status`: no such file/i.test((error as Error).message);

const consoleArgs = (stdio: Stdio) => (stdio.terminal ? ["--console-socket", stdio.consoleSocket] : []);
