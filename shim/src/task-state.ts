import { containerd } from "@kuasar/proto/shim";
import type { PodProcess } from "./pod.ts";

const STATUS = containerd.v1.types.Status;

/**
 * The answer to State. It is asked for at every turn (some thirty times in the life of a pod), and all that it tells
 * has passed through the shim: nobody else need be asked.
 */
export function encodeState(process: PodProcess): Uint8Array {
  const { task, execId, io, pid, exit } = process;
  return containerd.task.v2.StateResponse.encode({
    id: execId || task.id,
    bundle: task.bundle,
    pid,
    status: statusOf(process),
    ...io,
    exitStatus: exit?.status ?? 0,
    exitedAt: exit?.exitedAt ?? null,
    execId,
  });
}

/** A paused container's processes are all paused, as the runc shim has it: those not started, and those at their end. */
function statusOf({ task, started, exit }: PodProcess): containerd.v1.types.Status {
  if (task.paused && !task.init.exit) return STATUS.PAUSED;
  if (exit) return STATUS.STOPPED;
  return started ? STATUS.RUNNING : STATUS.CREATED;
}
