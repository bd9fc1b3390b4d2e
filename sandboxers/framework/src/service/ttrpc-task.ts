import { containerd } from "@kuasar/proto/containerd";
import type { TaskService, TaskV3Service } from "@kuasar/proto/definitions";
import type { Implementation } from "ttrpc-ts";
import { invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { Logger } from "../log/logger.ts";
import type { SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";
import type { SandboxRegistry } from "../sandbox/sandbox-registry.ts";
import { taskState } from "../sandbox/sandbox-state.ts";
import { isJsonObject, type JsonObject } from "../store/json.ts";
import type { ExecLifecycle } from "../task/exec-lifecycle.ts";
import type { TaskControl } from "../task/task-control.ts";
import type { TaskLifecycle } from "../task/task-lifecycle.ts";
import type { TaskQueries } from "../task/task-queries.ts";
import { checkpointRequest } from "./checkpoint-request.ts";
import { sandboxForTask, sandboxOfTask } from "./find-sandbox.ts";
import { packMetrics } from "./metrics-any.ts";
import { requestContext } from "./request-context.ts";
import { sandboxAsTask, sandboxPids } from "./sandbox-as-task.ts";
import type { SandboxMetrics } from "./sandbox-metrics.ts";
import { answering } from "./wire-error.ts";
import { toMount, toTypedBytes } from "./wire-request.ts";

export interface TaskServiceParts {
  readonly registry: SandboxRegistry;
  readonly sandboxes: SandboxLifecycle;
  readonly tasks: TaskLifecycle;
  readonly execs: ExecLifecycle;
  readonly control: TaskControl;
  readonly queries: TaskQueries;
  readonly metrics: SandboxMetrics;
  readonly log: Logger;
}

const Status = containerd.v1.types.Status;
const STATUS = {
  created: Status.CREATED,
  running: Status.RUNNING,
  stopped: Status.STOPPED,
  paused: Status.PAUSED,
  pausing: Status.PAUSING,
};

/** `containerd.task.v2.Task` and v3, whose messages are the same. Contract: the runc shim's `task/service.go`. */
export function ttrpcTaskService(
  parts: TaskServiceParts,
): Implementation<typeof TaskService> & Implementation<typeof TaskV3Service> {
  const { registry, sandboxes, tasks, execs, control, queries, metrics, log } = parts;
  const answer = answering(log);
  return {
    create: answer(async (request, call) => {
      const context = requestContext(call);
      const sandbox = sandboxForTask(registry, context, request.id, request.bundle);
      const options = toTypedBytes(request.options);
      const pid = await tasks.create(
        sandbox,
        {
          id: request.id,
          bundle: request.bundle,
          rootfs: request.rootfs.map(toMount),
          io: ioOf(request),
          checkpoint: request.checkpoint,
          parentCheckpoint: request.parentCheckpoint,
          ...(options && { options }),
        },
        context.timeoutMs,
      );
      return { pid };
    }),

    start: answer(async ({ id, execId }, call) => {
      const context = requestContext(call);
      const sandbox = sandboxOfTask(registry, context, id);
      const pid =
        execId === ""
          ? await tasks.start(sandbox, id, context.timeoutMs)
          : await execs.start(sandbox, id, execId, context.timeoutMs);
      return { pid };
    }),

    delete: answer(async ({ id, execId }, call) => {
      const context = requestContext(call);
      const sandbox = sandboxOfTask(registry, context, id);
      if (context.cleanup) {
        await sandboxes.takeOver(sandbox.namespace, sandbox.id);
        const { pid, exit } = await tasks.cleanUp(sandbox, id);
        return { pid, exitStatus: exit?.status ?? 0, exitedAt: exit?.at };
      }
      const { pid, exit } = execId === "" ? await tasks.delete(sandbox, id) : await execs.delete(sandbox, id, execId);
      return { pid, exitStatus: exit?.status ?? 0, exitedAt: exit?.at };
    }),

    exec: answer((request, call) => {
      const sandbox = sandboxOfTask(registry, requestContext(call), request.id);
      if (request.spec === null || request.spec === undefined) {
        throw invalidArgument(`exec ${quote(request.execId)} of task ${quote(request.id)} has no process to execute`);
      }
      const spec = new TextDecoder().decode(request.spec.value);
      execs.add(sandbox, { taskId: request.id, execId: request.execId, io: ioOf(request), spec });
      return {};
    }),

    state: answer(({ id, execId }, call) => {
      const context = requestContext(call);
      const pause = sandboxAsTask(registry, context, id);
      if (pause !== undefined) {
        const { bundle, pid, exit } = pause.record;
        const status = STATUS[taskState(pause.record.state)];
        return { id, bundle, pid, status, ...NO_IO, exitStatus: exit?.status ?? 0, exitedAt: exit?.at, execId: "" };
      }
      const { bundle, pid, state, io, exit } = queries.state(sandboxOfTask(registry, context, id), id, execId);
      return {
        id: execId || id,
        bundle,
        pid,
        status: STATUS[state],
        ...io,
        exitStatus: exit?.status ?? 0,
        exitedAt: exit?.at,
        execId: "",
      };
    }),

    pids: answer(({ id }, call) => {
      const context = requestContext(call);
      const pause = sandboxAsTask(registry, context, id);
      if (pause !== undefined) {
        return { processes: sandboxPids(pause).map((pid) => ({ pid })) };
      }
      const processes = queries.pids(sandboxOfTask(registry, context, id), id);
      return { processes: processes.map(({ pid, execId }) => ({ pid, info: detailsOf(execId) })) };
    }),

    pause: answer(async ({ id }, call) => {
      const context = requestContext(call);
      if (sandboxAsTask(registry, context, id) !== undefined) {
        await sandboxes.pause(context.namespace, id);
      } else {
        await control.pause(sandboxOfTask(registry, context, id), id, context.timeoutMs);
      }
      return {};
    }),

    resume: answer(async ({ id }, call) => {
      const context = requestContext(call);
      if (sandboxAsTask(registry, context, id) !== undefined) {
        await sandboxes.resume(context.namespace, id);
      } else {
        await control.resume(sandboxOfTask(registry, context, id), id, context.timeoutMs);
      }
      return {};
    }),

    checkpoint: answer(async ({ id, path, options }, call) => {
      const context = requestContext(call);
      const sandbox = sandboxOfTask(registry, context, id);
      await control.checkpoint(sandbox, id, checkpointRequest(path, toTypedBytes(options)), context.timeoutMs);
      return {};
    }),

    kill: answer(async ({ id, execId, signal, all }, call) => {
      const context = requestContext(call);
      const pause = sandboxAsTask(registry, context, id);
      if (pause !== undefined) {
        await sandboxes.signal(context.namespace, id, signal);
      } else {
        await control.kill(sandboxOfTask(registry, context, id), id, execId, signal, all);
      }
      return {};
    }),

    resizePty: answer(async ({ id, execId, width, height }, call) => {
      await control.resize(sandboxOfTask(registry, requestContext(call), id), id, execId, width, height);
      return {};
    }),

    closeIO: answer(async ({ id, execId, stdin }, call) => {
      const sandbox = sandboxOfTask(registry, requestContext(call), id);
      if (stdin) {
        await control.closeStdin(sandbox, id, execId);
      }
      return {};
    }),

    update: answer(async ({ id, resources }, call) => {
      const context = requestContext(call);
      const wanted = toResources(id, resources?.value);
      if (sandboxAsTask(registry, context, id) !== undefined) {
        await sandboxes.update(context.namespace, id, wanted);
      } else {
        await control.update(sandboxOfTask(registry, context, id), id, wanted, context.timeoutMs);
      }
      return {};
    }),

    wait: answer(async ({ id, execId }, call) => {
      const context = requestContext(call);
      const pause = sandboxAsTask(registry, context, id);
      const { status, at } =
        pause === undefined
          ? await queries.wait(sandboxOfTask(registry, context, id), id, execId)
          : await pause.exited.promise;
      return { exitStatus: status, exitedAt: at };
    }),

    stats: answer(async ({ id }, call) => {
      const context = requestContext(call);
      const pause = sandboxAsTask(registry, context, id);
      const read =
        pause === undefined
          ? await queries.stats(sandboxOfTask(registry, context, id), id)
          : await metrics.read(context.namespace, id);
      return { stats: await packMetrics(read) };
    }),

    connect: answer(({ id }, call) => {
      const context = requestContext(call);
      const pause = sandboxAsTask(registry, context, id);
      const task = registry.findByTask(context.namespace, id)?.tasks.get(id);
      return { shimPid: process.pid, taskPid: pause?.record.pid ?? task?.record.pid ?? 0, version: "" };
    }),

    // A sandbox's end is ShutdownSandbox; this one was the shim's to act on.
    shutdown: answer(() => ({})),
  };
}

const NO_IO = { stdin: "", stdout: "", stderr: "", terminal: false };

function ioOf({ stdin, stdout, stderr, terminal }: typeof NO_IO): typeof NO_IO {
  return { stdin, stdout, stderr, terminal };
}

function detailsOf(execId: string) {
  const { ProcessDetails } = containerd.runc.v1;
  return execId === "" ? undefined : { typeUrl: ProcessDetails.typeName, value: ProcessDetails.encode({ execId }) };
}

function toResources(id: string, bytes: Uint8Array | undefined): JsonObject {
  let resources: unknown;
  try {
    resources = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // Said below: what is no JSON is no object either.
  }
  if (!isJsonObject(resources)) {
    throw invalidArgument(`the resources for task ${quote(id)} are not the JSON of OCI linux resources`);
  }
  return resources;
}
