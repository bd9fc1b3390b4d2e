import { containerd } from "@kuasar/proto/shim";
import * as sys from "sys";
import { type CallContext, Code, StatusError } from "ttrpc-ts";
import { type BundleSpec, readBundleRecord, readBundleSpec, writeBundleRecord } from "./bundle.ts";
import { remaining } from "./deadline.ts";
import { requireIdentifier } from "./identifier.ts";
import { watchOom } from "./oom-watch.ts";
import { type PodProcess, PodTask } from "./pod.ts";
import { readRequest } from "./request.ts";
import { createSandboxTask, type SandboxTask } from "./sandbox-task.ts";
import type { SandboxerChoice } from "./sandboxer-choice.ts";
import type { ServiceParts } from "./service-parts.ts";
import { encodeState } from "./task-state.ts";

const api = containerd.task.v2;
const TASK = "containerd.task.v2.Task";
const EMPTY = new Uint8Array(0);
const SIGKILL = 9;
/** Those handed on that name an exec; the others have something else in the field where these have its id. */
const WITH_EXEC_ID: ReadonlySet<string> = new Set(["State", "Kill", "ResizePty", "CloseIO"]);

/** containerd.task.v2.Task as containerd calls it (api/runtime/task/v2/shim.proto), handed on to the sandboxer. */
export interface TaskService {
  handle(payload: Uint8Array, context: CallContext): Promise<Uint8Array>;
}

export function createTaskService(parts: ServiceParts): TaskService {
  return new Service(parts);
}

type Method = (payload: Uint8Array, context: CallContext) => Promise<Uint8Array>;

class Service implements TaskService {
  private readonly sandboxTask: SandboxTask;
  /** A map, since a client may ask for a method of any name, and an object answers to some. */
  private readonly methods: ReadonlyMap<string, Method>;

  constructor(private readonly parts: ServiceParts) {
    this.sandboxTask = createSandboxTask(parts);
    const methods: Readonly<Record<string, Method>> = {
      Create: (payload, context) => this.create(payload, context),
      Start: (payload, context) => this.start(payload, context),
      Delete: (payload, context) => this.delete(payload, context),
      Exec: (payload, context) => this.exec(payload, context),
      State: (payload) => this.state(payload),
      Wait: (payload) => this.wait(payload),
      Pids: (payload, context) => this.pids(payload, context),
      Pause: (payload, context) =>
        this.change(payload, context, (task) => {
          task.paused = true;
          parts.events.paused(task);
        }),
      Resume: (payload, context) =>
        this.change(payload, context, (task) => {
          task.paused = false;
          parts.events.resumed(task);
        }),
      Checkpoint: (payload, context) =>
        this.change(payload, context, (task) =>
          parts.events.checkpointed(task, readRequest(api.CheckpointTaskRequest, payload).path),
        ),
      Connect: (payload) => this.connect(payload),
      Shutdown: () => this.shutdown(),
    };
    this.methods = new Map(Object.entries(methods));
  }

  handle(payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const method = this.methods.get(context.method);
    return method ? method(payload, context) : this.forward(payload, context);
  }

  /** Every request begins with the container's id. What comes second need not even be text. */
  private id(payload: Uint8Array): string {
    return readRequest(api.ConnectRequest, payload).id;
  }

  private target(payload: Uint8Array): { id: string; execId: string } {
    return readRequest(api.StateRequest, payload);
  }

  private async forward(payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const task = this.parts.pod.task(this.id(payload));
    if (WITH_EXEC_ID.has(context.method)) task.process(this.target(payload).execId);
    if (context.method === "Kill" && task.role === "container") await this.sandboxTask.wake(context);
    const answer = task.role === "sandbox" && this.sandboxTask.handle(task, payload, context);
    // Asking twice for something that happens once is the sandboxer's to recognise; only questions are repeated, and
    // SIGKILL, which does the same twice: CRI gives a container up for good if it cannot kill it after a failed start.
    const killed = context.method === "Kill" && readRequest(api.KillRequest, payload).signal === SIGKILL;
    const repeatable = killed || ["Pids", "Stats"].includes(context.method);
    return answer || this.parts.sandboxer.call(TASK, context.method, payload, { ...remaining(context), repeatable });
  }

  private async create(payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { pod, events, exits, sandboxer, onShutdown } = this.parts;
    const request = readRequest(api.CreateTaskRequest, payload);
    requireId(request.id);
    if (!request.bundle.startsWith("/")) {
      throw new StatusError(
        Code.INVALID_ARGUMENT,
        `bundle: expected an absolute path, got ${JSON.stringify(request.bundle)}`,
      );
    }
    if (pod.tasks.has(request.id)) throw new StatusError(Code.ALREADY_EXISTS, `container ${request.id} already exists`);
    const spec = readSpec(request.bundle, request.id, sandboxer.choice);
    const { stdin, stdout, stderr, terminal } = request;
    const task = new PodTask(request.id, spec.role, request.bundle, { stdin, stdout, stderr, terminal });
    // In the table before anything is made: an id is taken while its Create is under way.
    pod.add(task);
    try {
      task.init.pid = await this.make(task, spec, request, payload, remaining(context));
      if (context.signal.aborted) await this.unmake(task);
    } catch (error) {
      pod.drop(task.id);
      if (pod.done) onShutdown();
      throw error;
    }
    task.created = true;
    exits.watch(task.init);
    exits.announce(task.init, () => events.created(task, request.rootfs, request.checkpoint));
    return api.CreateTaskResponse.encode({ pid: task.init.pid });
  }

  private async make(
    task: PodTask,
    spec: BundleSpec,
    request: containerd.task.v2.CreateTaskRequest,
    payload: Uint8Array,
    limit: { timeoutMs?: number },
  ): Promise<number> {
    const { sandboxer } = this.parts;
    if (spec.role === "container") return pidOf(await sandboxer.call(TASK, "Create", payload, limit));
    const createContainer = async () => pidOf(await sandboxer.call(TASK, "Create", payload, limit));
    return this.sandboxTask.create(task, spec, request, createContainer, limit);
  }

  /** A containerd that was killed over its Create does not know that there is such a task, nor that it should be deleted. */
  private async unmake({ id, role }: PodTask): Promise<never> {
    const { sandboxer, sandboxCalls } = this.parts;
    if (role === "container")
      await sandboxer.call(TASK, "Delete", api.DeleteRequest.encode({ id }), { repeatable: true });
    else await sandboxCalls.shutdown(id);
    throw new StatusError(Code.CANCELLED, `container ${id}: whoever wanted it has gone`);
  }

  private async start(payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { pod, events, exits, sandboxer } = this.parts;
    const { id, execId } = this.target(payload);
    const process = pod.task(id).process(execId);
    const { announced } = process;
    process.announced = false;
    try {
      const answer =
        process.task.role === "sandbox" && execId === ""
          ? api.StartResponse.encode({ pid: process.pid })
          : await sandboxer.call(TASK, "Start", payload, remaining(context));
      process.pid = api.StartResponse.decode(answer).pid;
      process.started = true;
      if (execId !== "") exits.watch(process);
      else this.watchOom(process.task);
      exits.announce(process, () => {
        events.started(process);
        if (execId === "") events.oomKills(process.task);
      });
      return answer;
    } catch (error) {
      if (announced) exits.announce(process);
      else if (execId !== "") process.neverRan();
      throw error;
    }
  }

  /** As the runc shim, from the start of a container on; one without a memory cgroup has nothing to tell. */
  private watchOom(task: PodTask): void {
    const { events, log } = this.parts;
    if (task.role === "sandbox" || task.init.pid === 0) return;
    try {
      task.oomWatch = watchOom(task.init.pid, () => events.oom(task));
    } catch (error) {
      log.error("out of memory events will be missing", { id: task.id, error });
    }
  }

  private async exec(payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { id, execId, stdin, stdout, stderr, terminal } = readRequest(api.ExecProcessRequest, payload);
    const task = this.parts.pod.task(id);
    requireId(execId, "exec_id");
    if (task.execs.has(execId)) throw new StatusError(Code.ALREADY_EXISTS, `id ${execId}`);
    await this.parts.sandboxer.call(TASK, "Exec", payload, remaining(context));
    // The id is another's now.
    this.parts.pod.deletedExecs.delete(`${id}/${execId}`);
    task.addExec(execId, { stdin, stdout, stderr, terminal });
    this.parts.events.execAdded(task, execId);
    return EMPTY;
  }

  private async state(payload: Uint8Array): Promise<Uint8Array> {
    const { id, execId } = this.target(payload);
    return encodeState(this.parts.pod.presentOrDeleted(id).process(execId));
  }

  private async wait(payload: Uint8Array): Promise<Uint8Array> {
    const { id, execId } = this.target(payload);
    const { status, exitedAt } = await this.parts.pod.presentOrDeleted(id).process(execId).exited();
    return api.WaitResponse.encode({ exitStatus: status, exitedAt });
  }

  /**
   * Never empty: a containerd that was restarted takes a task without processes for a leaked one, and deletes it
   * before anyone has heard how it ended (runtime/v2/shim_load.go). One that has exited still has its pid, also while
   * its exit has not been told yet.
   */
  private async pids(payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { pid, exit } = this.parts.pod.presentOrDeleted(this.id(payload)).init;
    const ended = api.PidsResponse.encode({ processes: [{ pid }] });
    if (exit) return ended;
    const answer = await this.forward(payload, context);
    return api.PidsResponse.decode(answer).processes.length > 0 ? answer : ended;
  }

  private async delete(payload: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { pod, events } = this.parts;
    const { id, execId } = this.target(payload);
    const before = execId === "" ? pod.deletedTask(id)?.answer : pod.deletedExecs.get(`${id}/${execId}`);
    if (before) {
      pod.deletedExecs.delete(`${id}/${execId}`);
      return before;
    }
    const task = pod.task(id);
    const process = task.process(execId);
    const answer = await this.remove(process, payload);
    if (execId !== "") {
      task.execs.delete(execId);
      // Nobody has heard the answer: whoever asks again shall.
      if (context.signal.aborted) pod.deletedExecs.set(`${id}/${execId}`, answer);
    } else if (pod.tasks.get(id) === task) {
      // It ends with its cgroup, which may be another's as well.
      task.oomWatch?.close();
      const { pid, exitStatus, exitedAt } = api.DeleteResponse.decode(answer);
      process.pid ||= pid;
      process.exit ??= {
        status: exitStatus,
        exitedAt: { seconds: exitedAt?.seconds ?? 0, nanos: exitedAt?.nanos ?? 0 },
      };
      pod.remove(task, answer);
      events.deleted(task);
    }
    return answer;
  }

  private async remove(process: PodProcess, payload: Uint8Array): Promise<Uint8Array> {
    const { task, execId } = process;
    const forward = () => this.parts.sandboxer.call(TASK, "Delete", payload, { repeatable: true });
    try {
      return await (execId !== "" ? forward() : this.sandboxTask.delete(task, forward));
    } catch (error) {
      // The sandbox has been removed, and all of its containers with it: how they ended is known here.
      const gone = error instanceof StatusError && error.code === Code.NOT_FOUND;
      if (!gone || process.pid === 0) throw error;
      const { status, exitedAt } = await process.exited();
      return api.DeleteResponse.encode({ pid: process.pid, exitStatus: status, exitedAt });
    }
  }

  private async change(
    payload: Uint8Array,
    context: CallContext,
    publish: (task: PodTask) => void,
  ): Promise<Uint8Array> {
    const answer = await this.forward(payload, context);
    publish(this.parts.pod.task(this.id(payload)));
    return answer;
  }

  private async connect(payload: Uint8Array): Promise<Uint8Array> {
    const task = this.parts.pod.tasks.get(this.id(payload));
    return api.ConnectResponse.encode({ shimPid: sys.getpid(), taskPid: task?.init.pid ?? 0, version: "" });
  }

  private async shutdown(): Promise<Uint8Array> {
    const { pod, onShutdown } = this.parts;
    pod.shutdownAsked = true;
    if (pod.done) onShutdown();
    return EMPTY;
  }
}

function pidOf(answer: Uint8Array): number {
  return api.CreateTaskResponse.decode(answer).pid;
}

function requireId(id: string, field = "id"): void {
  try {
    requireIdentifier(field, id);
  } catch (error) {
    throw new StatusError(Code.INVALID_ARGUMENT, (error as Error).message);
  }
}

function readSpec(bundle: string, id: string, { name, socket }: SandboxerChoice): BundleSpec {
  if (!sys.stat(bundle)) throw new StatusError(Code.NOT_FOUND, `bundle: ${bundle} does not exist`);
  try {
    const record = readBundleRecord(bundle);
    if (record) return record;
    // With sandbox_mode = "shim" containerd does not call `start` for a pod's containers.
    const spec = readBundleSpec(bundle, id);
    writeBundleRecord(bundle, { ...spec, sandboxer: name, socket });
    return spec;
  } catch (error) {
    throw new StatusError(Code.INVALID_ARGUMENT, (error as Error).message);
  }
}
