import * as sys from "sys";
import { readBundleSpec, writeBundleRecord } from "./bundle.ts";
import { isolateCores } from "./core-scheduling.ts";
import type { Flags } from "./flags.ts";
import { requireIdentifier } from "./identifier.ts";
import {
  makeFolders,
  readText,
  readTextIfThere,
  removeIfThere,
  writeKernelFile,
  writeTextAtomically,
} from "./platform/files.ts";
import { startServer } from "./platform/server-process.ts";
import { readAllInput } from "./platform/standard-input.ts";
import { canConnect, pathOfAddress } from "./platform/unix-socket.ts";
import { readRuntimeOptions } from "./runtime-options.ts";
import { chooseSandboxer } from "./sandboxer-choice.ts";
import { requireAnswering } from "./sandboxer-connection.ts";
import type { ShimSettings } from "./serve.ts";
import { enterShimCgroup } from "./shim-cgroup.ts";
import { SOCKET_FOLDER, socketAddress } from "./socket-address.ts";

const BACKLOG = 128;
const OOM_SCORE_MAX = 1000;
const SIGKILL = 9;

/**
 * The `start` command (runtime/v2/README.md): answers with the address of the shim that serves the bundle in the
 * current folder. A container of a pod joins its pod's shim; else this process forks, and the child is the shim.
 */
export function start(flags: Flags, programName: string, env: ReadonlyMap<string, string>): string {
  requireIdentifier("-namespace", flags.namespace);
  requireIdentifier("-id", flags.id);
  const bundle = sys.getcwd();
  const spec = readBundleSpec(bundle, flags.id);
  const { sandboxId } = spec;
  requireIdentifier("the pod's id in config.json", sandboxId);
  const options = readRuntimeOptions(readAllInput(), readText);
  const sandboxer = chooseSandboxer({ programName, options, env });
  const record = { ...spec, sandboxer: sandboxer.name, socket: sandboxer.socket };
  const address = socketAddress(flags.address, flags.namespace, sandboxId, sys.sha256);
  const path = pathOfAddress(address);
  if (sandboxId !== flags.id) {
    // Another shim in its place would know nothing of the pod, and would keep others from seeing that its own is dead.
    if (!canConnect(path)) throw new Error(`the shim of pod ${sandboxId} does not answer on ${path}`);
    writeBundleRecord(bundle, record);
    writeAddress(address);
    return address;
  }
  requireAnswering(sandboxer);
  isolateCores(env);
  enterShimCgroup(options.shimCgroup);
  writeAddress(address);
  writeBundleRecord(bundle, record);
  forkShim(path, {
    namespace: flags.namespace,
    sandboxId,
    bundle,
    address,
    containerdAddress: flags.address,
    ttrpcAddress: env.get("TTRPC_ADDRESS") ?? "",
    sandboxer,
    debug: flags.debug,
  });
  return address;
}

/** What containerd reads when it has been restarted, for each bundle. */
function writeAddress(address: string): void {
  writeTextAtomically(`${sys.getcwd()}/address`, address);
}

function listen(path: string): number {
  try {
    return sys.listen(path, BACKLOG);
  } catch (error) {
    const { code } = error as sys.SysError;
    if (code === "ENOENT") {
      makeFolders(SOCKET_FOLDER, 0o700);
      return sys.listen(path, BACKLOG);
    }
    if (code !== "EADDRINUSE") throw error;
    if (canConnect(path)) throw new Error(`a shim serves ${path} already`);
    // Left behind by one that was killed.
    removeIfThere(path);
    return sys.listen(path, BACKLOG);
  }
}

/**
 * The shim makes its socket itself: should this process be killed now, nobody else is left who would remove it. Up to
 * the fork there is nothing but files in the bundle, which containerd removes.
 */
function forkShim(path: string, settings: Omit<ShimSettings, "listener">): void {
  let pid = 0;
  try {
    pid = startServer(() => {
      detach();
      const listener = listen(path);
      return { inheritance: JSON.stringify({ ...settings, listener } satisfies ShimSettings), kept: [listener] };
    });
    raiseOomScore(pid);
  } catch (error) {
    if (pid > 0) sys.kill(pid, SIGKILL);
    if (pid > 0 || !canConnect(path)) removeIfThere(path);
    throw error;
  }
}

/** Leaves the starter's session and its stdio: containerd waits for the end of those, and takes them for the answer. */
function detach(): void {
  sys.setsid();
  sys.dropLastArgument();
  const nowhere = sys.open("/dev/null", sys.O_RDWR, 0);
  sys.dup2(nowhere, 0);
  sys.dup2(nowhere, 1);
  // Read and written at once, a FIFO neither waits for its reader nor breaks when that one is restarted.
  const log = sys.stat("log") ? sys.open("log", sys.O_RDWR | sys.O_NONBLOCK, 0) : nowhere;
  sys.dup2(log, 2);
  if (log !== nowhere) sys.close(log);
  sys.close(nowhere);
}

/** One more than containerd's own, as the runc shim does (util_unix.go): the shim shall go before it, and last of the pod. */
function raiseOomScore(pid: number): void {
  const parent = Number(readTextIfThere(`/proc/${sys.getppid()}/oom_score_adj`) ?? 0);
  writeKernelFile(`/proc/${pid}/oom_score_adj`, String(Math.min(parent + 1, OOM_SCORE_MAX)));
}
