import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, failedPrecondition, isCode } from "@kuasar/framework/error/sandbox-error";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import type { Guest } from "../guest/guest.ts";

/** No container's id: it has a slash. */
const PAUSE_KEY = "pod/pause";
const PAUSE = ["/sbin/vmm-task", "--pause"];
const NOBODY = 65_534;
const STARTING_MS = 10_000;
const RETRY_MS = 20;

/** Which processes a container sees: "own" only its own, "machine" all, "joined" those of its pod or of another container. */
export type PidSharing = "own" | "machine" | "joined";

export function pidSharingOf({ linux }: OciSpec): PidSharing {
  const pid = linux?.namespaces?.find(({ type }) => type === "pid");
  return pid === undefined ? "machine" : pid.path ? "joined" : "own";
}

/**
 * The namespace in the guest that a container is to join. Its spec names a process of the host, which is the same for the
 * pod and for each of its containers: the machine's. So a container beside one other, which has its processes to itself,
 * is there to look at that one (NamespaceMode TARGET); where none has, the pod shares them (POD).
 * FAILED_PRECONDITION where it cannot be told which one is meant.
 */
export async function joinedPidNamespace(sandbox: Sandbox, guest: Guest, task: Task): Promise<string> {
  const alone = [...sandbox.tasks.values()].filter(
    ({ id, record }) =>
      id !== task.id &&
      record.engine.pidSharing === "own" &&
      ["created", "starting", "running", "pausing", "paused"].includes(record.state),
  );
  const [target] = alone;
  if (alone.length > 1) {
    throw failedPrecondition(
      `container ${task.id} is to share the processes of another one, and in a virtual machine it cannot be told which of ` +
        alone.map(({ id }) => id).join(", "),
    );
  }
  return `/proc/${target ? await pidOf(guest, target.id) : await pausePid(guest)}/ns/pid`;
}

async function pidOf(guest: Guest, key: string): Promise<number> {
  const found = (await guest.processes.list()).find((process) => process.key === key);
  if (!found || found.exit) throw failedPrecondition(`container ${key}, whose processes are to be shared, has ended`);
  return found.pid;
}

/** The first process of the pod's own namespace, which is made when the first container asks for it. */
async function pausePid(guest: Guest): Promise<number> {
  try {
    return await guest.processes.spawn({
      key: PAUSE_KEY,
      argv: PAUSE,
      env: [],
      cwd: "/",
      namespaces: [{ type: "pid", path: "" }],
      uidMappings: [],
      gidMappings: [],
      cgroupProcs: [],
      hostname: "",
      domainname: "",
      sysctls: {},
      credentials: { uid: NOBODY, gid: NOBODY, additionalGids: [], capabilities: [], noNewPrivileges: true },
      emptyRoot: false,
      parentDeathSignal: 0,
    });
  } catch (error) {
    if (!isCode(error, ErrorCode.ALREADY_EXISTS)) throw error;
  }
  // It may only be beginning: two containers that come at once are made so by the kubelet.
  for (let left = STARTING_MS / RETRY_MS; ; left--) {
    const found = (await guest.processes.list()).find((process) => process.key === PAUSE_KEY);
    if (found || left <= 0) return await pidOf(guest, PAUSE_KEY);
    await sleep(RETRY_MS);
  }
}
