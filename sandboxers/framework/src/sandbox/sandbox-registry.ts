import { notFound } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { Task } from "../task/task.ts";
import { taskNotFound } from "../task/task-state.ts";
import type { Sandbox } from "./sandbox.ts";

/** All sandboxes of this sandboxer, and which of them holds a task. Namespaces are containerd's. */
export interface SandboxRegistry {
  /** NOT_FOUND if there is none. */
  get(namespace: string, id: string): Sandbox;
  find(namespace: string, id: string): Sandbox | undefined;
  /** The sandbox with a task of that id, deleted ones included. */
  findByTask(namespace: string, taskId: string): Sandbox | undefined;
  add(sandbox: Sandbox): void;
  remove(sandbox: Sandbox): void;
  all(): Sandbox[];
}

export function createSandboxRegistry(): SandboxRegistry {
  const sandboxes = new Map<string, Sandbox>();
  return {
    find: (namespace, id) => sandboxes.get(`${namespace}/${id}`),

    get(namespace, id) {
      const sandbox = sandboxes.get(`${namespace}/${id}`);
      if (sandbox === undefined) {
        throw notFound(`sandbox ${quote(id)} does not exist in namespace ${quote(namespace)}`);
      }
      return sandbox;
    },

    findByTask(namespace, taskId) {
      for (const sandbox of sandboxes.values()) {
        if (sandbox.namespace === namespace && sandbox.tasks.has(taskId)) {
          return sandbox;
        }
      }
      return undefined;
    },

    add: (sandbox) => void sandboxes.set(sandbox.key, sandbox),
    remove: (sandbox) => void sandboxes.delete(sandbox.key),
    all: () => [...sandboxes.values()],
  };
}

/** The task, if it has been created and not deleted: NOT_FOUND otherwise. */
export function liveTask(sandbox: Sandbox, taskId: string): Task {
  const task = sandbox.tasks.get(taskId);
  if (task === undefined || task.record.state === "creating" || task.record.state === "deleted") {
    throw taskNotFound(taskId);
  }
  return task;
}
