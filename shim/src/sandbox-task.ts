import { containerd } from "@kuasar/proto/shim";
import { type CallContext, Code, StatusError } from "ttrpc-ts";
import type { BundleSpec } from "./bundle.ts";
import { remaining } from "./deadline.ts";
import { requireExit } from "./exit-watch.ts";
import type { PodTask } from "./pod.ts";
import { readRequest } from "./request.ts";
import type { TimeLimit } from "./sandbox-calls.ts";
import type { ServiceParts } from "./service-parts.ts";

const api = containerd.task.v2;
const TASK = "containerd.task.v2.Task";
const EMPTY = new Uint8Array(0);
const SIGKILL = 9;

/**
 * A task that comes with a sandbox of its own. The pause container of a pod *is* the sandbox: its calls become Sandbox
 * API calls. A container with no pod has a sandbox around it, made before and removed after it.
 */
export interface SandboxTask {
  /** createContainer makes the container inside, where there is one. Answers with the pid. */
  create(
    task: PodTask,
    spec: BundleSpec,
    request: containerd.task.v2.CreateTaskRequest,
    createContainer: () => Promise<number>,
    limit: TimeLimit,
  ): Promise<number>;
  delete(task: PodTask, deleteContainer: () => Promise<Uint8Array>): Promise<Uint8Array>;
  /** A pause container's other calls; undefined for those that the sandboxer's Task service answers. */
  handle(task: PodTask, payload: Uint8Array, context: CallContext): Promise<Uint8Array> | undefined;
  /**
   * Has a sandbox that is paused go on, before a signal to a container: it would reach nothing, and CRI ends the containers
   * first when it removes a pod.
   */
  wake(context: CallContext): Promise<void>;
}

export function createSandboxTask(parts: ServiceParts): SandboxTask {
  const { pod, sandboxCalls, sandboxer, sandboxMetadata, events, log } = parts;
  const undo = (sandboxId: string) =>
    sandboxCalls
      .shutdown(sandboxId)
      .catch((error) => log.error("a half-made sandbox is left", { id: sandboxId, error }));

  return {
    async create(task, spec, request, createContainer, limit) {
      const lone = spec.role === "lone";
      await sandboxCalls.create(
        {
          sandboxId: task.id,
          bundlePath: task.bundle,
          rootfs: lone ? [] : request.rootfs,
          options: request.options ?? null,
          netnsPath: spec.netnsPath,
        },
        { ...sandboxMetadata, ...(lone ? { "kuasar-lone-container": ["1"] } : {}) },
        limit,
      );
      try {
        const pid = await sandboxCalls.start(task.id, limit);
        return lone ? await createContainer() : pid;
      } catch (error) {
        await undo(task.id);
        throw error;
      }
    },

    async delete(task, deleteContainer) {
      const answer = task.role === "sandbox" ? deleteResponse(task) : await deleteContainer();
      task.removed = true;
      // The sandbox goes with the last of its tasks: containers may outlive a pause process that was killed.
      const last = [...pod.tasks.values()].every(({ removed }) => removed);
      if (last && !pod.sandboxApi) await sandboxCalls.shutdown(pod.sandboxId);
      return answer;
    },

    handle(task, payload, context) {
      switch (context.method) {
        case "Pids":
          return Promise.resolve(api.PidsResponse.encode({ processes: [{ pid: task.init.pid }] }));
        case "Kill":
          return kill(task, payload, context);
        case "ResizePty":
        case "CloseIO":
          return Promise.resolve(EMPTY);
        default:
          return undefined;
      }
    },

    async wake(context) {
      const sandbox = pod.tasks.get(pod.sandboxId);
      if (sandbox?.role !== "sandbox" || !sandbox.paused || sandbox.init.exit) return;
      await sandboxer.call(TASK, "Resume", api.ResumeRequest.encode({ id: sandbox.id }), remaining(context));
      sandbox.paused = false;
      events.resumed(sandbox);
    },
  };

  function deleteResponse({ init }: PodTask): Uint8Array {
    const { status, exitedAt } = requireExit(init);
    return api.DeleteResponse.encode({ pid: init.pid, exitStatus: status, exitedAt });
  }

  async function kill(task: PodTask, payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    if (task.init.exit) throw new StatusError(Code.NOT_FOUND, "process already finished");
    const { signal } = readRequest(api.KillRequest, payload);
    return sandboxer.call(TASK, "Kill", payload, { ...remaining(context), repeatable: signal === SIGKILL });
  }
}
