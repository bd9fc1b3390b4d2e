import { containerd, type google } from "@kuasar/proto/shim";
import type { PodProcess, PodTask } from "./pod.ts";
import type { Publisher } from "./publisher.ts";

const events = containerd.events;

/** The task events that the runc shim publishes (runtime/events.go), with their topics. */
export interface TaskEvents {
  created(task: PodTask, rootfs: containerd.types.Mount[], checkpoint: string): void;
  started(process: PodProcess): void;
  exited(process: PodProcess): void;
  deleted(task: PodTask): void;
  oom(task: PodTask): void;
  /** Those of a virtual machine that have not been told, once the task has started. */
  oomKills(task: PodTask): void;
  execAdded(task: PodTask, execId: string): void;
  paused(task: PodTask): void;
  resumed(task: PodTask): void;
  checkpointed(task: PodTask, checkpoint: string): void;
}

export function createTaskEvents(publisher: Publisher): TaskEvents {
  const publish = <T>(topic: string, name: string, codec: { encode(event: T): Uint8Array }, event: T) =>
    publisher.publish(`/tasks/${topic}`, `containerd.events.${name}`, () => codec.encode(event));
  return {
    created: (task, rootfs, checkpoint) =>
      publish("create", "TaskCreate", events.TaskCreate, {
        containerId: task.id,
        bundle: task.bundle,
        rootfs,
        io: task.init.io,
        checkpoint,
        pid: task.init.pid,
      }),
    started: ({ task, execId, pid }) =>
      execId === ""
        ? publish("start", "TaskStart", events.TaskStart, { containerId: task.id, pid })
        : publish("exec-started", "TaskExecStarted", events.TaskExecStarted, { containerId: task.id, execId, pid }),
    exited: ({ task, execId, pid, exit }) =>
      publish("exit", "TaskExit", events.TaskExit, {
        containerId: task.id,
        id: execId || task.id,
        pid,
        exitStatus: exit?.status ?? 255,
        exitedAt: timestamp(exit?.exitedAt),
      }),
    deleted: ({ id, init }) =>
      publish("delete", "TaskDelete", events.TaskDelete, {
        containerId: id,
        pid: init.pid,
        exitStatus: init.exit?.status ?? 0,
        exitedAt: timestamp(init.exit?.exitedAt),
        id: "",
      }),
    oom: ({ id }) => publish("oom", "TaskOOM", events.TaskOOM, { containerId: id }),
    oomKills(task) {
      if (!task.init.started || task.oomKills <= task.oomKillsTold) return;
      task.oomKillsTold = task.oomKills;
      this.oom(task);
    },
    execAdded: (task, execId) =>
      publish("exec-added", "TaskExecAdded", events.TaskExecAdded, { containerId: task.id, execId }),
    paused: ({ id }) => publish("paused", "TaskPaused", events.TaskPaused, { containerId: id }),
    resumed: ({ id }) => publish("resumed", "TaskResumed", events.TaskResumed, { containerId: id }),
    checkpointed: ({ id }, checkpoint) =>
      publish("checkpointed", "TaskCheckpointed", events.TaskCheckpointed, { containerId: id, checkpoint }),
  };
}

function timestamp(at: { seconds: number; nanos: number } | undefined): google.protobuf.Timestamp | null {
  return at ?? null;
}
