import { containerd } from "@kuasar/proto/shim";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { type BundleRecord, readBundleRecord } from "./bundle.ts";
import type { Flags } from "./flags.ts";
import { requireIdentifier } from "./identifier.ts";
import { unmountAll } from "./monitor/mount.ts";
import { createProcessTable } from "./monitor/process-table.ts";
import { runCommand } from "./monitor/run.ts";
import { readTextIfThere, removeIfThere } from "./platform/files.ts";
import { runLoop, startTimer } from "./platform/loop.ts";
import { canConnect, pathOfAddress } from "./platform/unix-socket.ts";
import { createSandboxCalls } from "./sandbox-calls.ts";
import { connectSandboxer } from "./sandboxer-connection.ts";

const api = containerd.task.v2;
const SIGKILL = 9;
const S_IFMT = 0o170000;
const S_IFSOCK = 0o140000;
/** containerd waits 5 seconds for the whole command. */
const SANDBOXER_TIMEOUT_MS = 3_500;
const RUNTIME_TIMEOUT_MS = 1_000;
/** Where containerd itself is killed meanwhile, nobody else ends a command that hangs. */
const COMMAND_TIMEOUT_MS = 10_000;
const RUNC_ROOT = "/run/containerd/runc";

/**
 * The `delete` command: containerd calls it when the connection to a shim has broken, or when it finds a bundle that
 * no shim serves. Whatever is left of the container goes, with or without a sandboxer to help.
 */
export function deleteBundle(flags: Flags, answer: (response: Uint8Array) => void): void {
  requireIdentifier("-namespace", flags.namespace);
  requireIdentifier("-id", flags.id);
  sys.openLoop();
  startTimer(() => {
    complain(`containerd-shim-kuasar-v2: ${flags.id} is not removed after ${COMMAND_TIMEOUT_MS} ms`);
    sys.exit(1);
  }, COMMAND_TIMEOUT_MS);
  const fail = (error: Error) => {
    complain(`containerd-shim-kuasar-v2: ${error.message}`);
    sys.exit(1);
  };
  remove(flags).then(answer).catch(fail);
  runLoop();
}

/** containerd logs what is on standard error as warnings. */
function complain(text: string): void {
  const bytes = sys.encodeUtf8(`${text}\n`);
  try {
    sys.write(2, bytes, 0, bytes.byteLength);
  } catch {
    // containerd has been killed, and there is nobody else to tell. What there is to be removed is removed all the same.
  }
}

async function remove({ id, namespace, bundle: named }: Flags): Promise<Uint8Array> {
  const bundle = named || sys.getcwd();
  const pid = Number(readTextIfThere(`${bundle}/init.pid`) ?? 0);
  let sandboxer = "bundle's";
  try {
    const record = readBundleRecord(bundle);
    sandboxer = record?.sandboxer ?? sandboxer;
    if (record) await removeBySandboxer(id, namespace, record);
  } catch (error) {
    complain(`the ${sandboxer} sandboxer could not remove ${id}: ${(error as Error).message}`);
    await removeByRuntime(id, namespace, bundle);
  }
  await unmountAll(`${bundle}/rootfs`);
  removeDeadSocket(bundle);
  const [seconds, nanos] = sys.realtime();
  return api.DeleteResponse.encode({ pid, exitStatus: 128 + SIGKILL, exitedAt: { seconds, nanos } });
}

async function removeBySandboxer(id: string, namespace: string, record: BundleRecord): Promise<void> {
  const { sandboxer: name, socket, sandboxId, role } = record;
  const sandboxer = connectSandboxer(
    { name, socket, hint: `${name}-sandboxer --listen ${socket}` },
    { "containerd-namespace-ttrpc": [namespace], "kuasar-sandbox-id": [sandboxId], "kuasar-cleanup": ["1"] },
  );
  try {
    if (role === "container") {
      const request = api.DeleteRequest.encode({ id });
      await sandboxer.call("containerd.task.v2.Task", "Delete", request, { timeoutMs: SANDBOXER_TIMEOUT_MS });
    } else {
      await createSandboxCalls(sandboxer).shutdown(sandboxId, SANDBOXER_TIMEOUT_MS);
    }
  } catch (error) {
    // It was never made, or is gone already.
    if (!(error instanceof StatusError && error.code === Code.NOT_FOUND)) throw error;
  } finally {
    sandboxer.close();
  }
}

/** As the runc shim does it, by the files that a container's Create left in the bundle. */
async function removeByRuntime(id: string, namespace: string, bundle: string): Promise<void> {
  const runtime = readTextIfThere(`${bundle}/runtime`);
  // No OCI runtime of this host's has been asked for it: a pause container, or what is in a virtual machine.
  if (runtime === undefined) return;
  const argv = [runtime || "runc", "--root", `${runtimeRoot(bundle)}/${namespace}`, "delete", "--force", id];
  const never = { aborted: false, addEventListener() {}, removeEventListener() {} };
  const command = {
    argv,
    env: sys.environ(),
    cwd: "/",
    key: "",
    pidFile: "",
    owner: id,
    timeoutMs: RUNTIME_TIMEOUT_MS,
  };
  const result = await runCommand(createProcessTable(), command, never);
  if (result.exitStatus !== 0) complain(`${argv.join(" ")}: ${new TextDecoder().decode(result.stderr).trim()}`);
}

function runtimeRoot(bundle: string): string {
  const path = `${bundle}/options.json`;
  try {
    const options = JSON.parse(readTextIfThere(path) || "{}") as { root?: unknown; Root?: unknown } | null;
    const root = options?.root || options?.Root || RUNC_ROOT;
    if (typeof root === "string") return root;
    complain(`${path}: root: expected a folder, got ${JSON.stringify(root)}`);
  } catch (error) {
    complain(`${path}: expected JSON: ${(error as Error).message}`);
  }
  return RUNC_ROOT;
}

/** A shim that was killed has left its socket. */
function removeDeadSocket(bundle: string): void {
  const address = readTextIfThere(`${bundle}/address`);
  if (!address) return;
  const path = pathOfAddress(address.trim());
  const isSocket = ((sys.stat(path)?.mode ?? 0) & S_IFMT) === S_IFSOCK;
  if (isSocket && !canConnect(path)) removeIfThere(path);
}
