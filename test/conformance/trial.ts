import { join } from "node:path";
import { type Any, OciTypeUrl } from "@kuasar/proto/any";
import { packJson } from "@kuasar/proto/any-json";
import type { containerd, containerd as services } from "@kuasar/proto/services";
import { ociProcess, ociSpec, type SpecOptions } from "./container-spec.ts";
import type { ContainerdApi } from "./containerd-api.ts";
import { Names, timeText } from "./names.ts";
import { errorObservation, type Observation } from "./observation.ts";
import type { RuncOptionNames, RuncOptionsForm } from "./runc-option-names.ts";
import type { Stage } from "./stage.ts";
import { Stdio, type StdioOptions } from "./stdio.ts";

export interface TaskOptions extends SpecOptions {
  /** Replaces the spec's JSON. */
  readonly specText?: string;
  /** FIFOs for the process; without them it has /dev/null. */
  readonly stdio?: StdioOptions | boolean;
  /** Stdio paths as they are, such as log URIs. */
  readonly paths?: { readonly stdin?: string; readonly stdout?: string; readonly stderr?: string };
  /** Says so to the shim, without giving it FIFOs. */
  readonly terminalWithoutStdio?: boolean;
  /** Mounts for the bundle's rootfs. Default: our userland. */
  readonly rootfs?: readonly containerd.types.IMount[];
  /** The task's own runtime options, as they are. */
  readonly options?: Any;
  /** Runc's options by the names that containerd's config has for them, in the form that the runtime takes. */
  readonly runcOptions?: RuncOptionNames;
  /** Default: runc's own. */
  readonly runcOptionsForm?: RuncOptionsForm;
  /** What the task goes on from. */
  readonly checkpoint?: services.types.IDescriptor;
  /** Whose exec it is, or "" for init: which name its pid gets. */
  readonly execId?: string;
}

export type Plain = (text: string) => string;

const states = ["UNKNOWN", "CREATED", "RUNNING", "STOPPED", "PAUSED", "PAUSING"];

/** One run of a case against one runtime: calls containerd about one container, and notes what it sees. */
export class Trial {
  readonly observations: Observation[] = [];
  readonly names: Names;
  readonly tasks: ContainerdApi["tasks"];
  private readonly stdios: Stdio[] = [];

  constructor(
    readonly stage: Stage,
    /** The container's. */
    readonly id: string,
  ) {
    this.tasks = stage.api.tasks;
    const replaced = [
      [stage.bundleOf(id), "BUNDLE"],
      [stage.lab.directory, "DIR"],
      [stage.lab.containerd.ctrNamespace, "NAMESPACE"],
      [id, "ID"],
    ] as const;
    this.names = new Names(replaced, stage.onePid);
  }

  readonly plain: Plain = (text) => this.names.text(text);

  get scratch(): string {
    return join(this.stage.lab.directory, "trial", this.id);
  }

  note(step: string, result: unknown): void {
    this.observations.push({ step, result: this.plain(typeof result === "string" ? result : JSON.stringify(result)) });
  }

  /** Notes how a call ended. @returns its answer, or undefined where it was refused */
  async call<T>(step: string, answer: Promise<T>, show: (answer: T) => string = () => "ok"): Promise<T | undefined> {
    try {
      const value = await answer;
      this.note(step, show(value));
      return value;
    } catch (error) {
      this.observations.push(errorObservation(step, error, this.plain));
      return undefined;
    }
  }

  stdio(name: string, options: StdioOptions = {}): Stdio {
    const stdio = new Stdio(join(this.scratch, name), options);
    this.stdios.push(stdio);
    return stdio;
  }

  /** Makes the container's record, of which nothing is noted: it is containerd's alone. */
  async container(options: TaskOptions = {}): Promise<void> {
    const spec = ociSpec(`/${this.stage.lab.containerd.ctrNamespace}/${this.id}`, options);
    const any = packJson(OciTypeUrl.spec, spec);
    if (options.specText !== undefined) any.value = Buffer.from(options.specText);
    await this.stage.api.containers.create({ container: { id: this.id, runtime: this.stage.runtime, spec: any } });
  }

  /** Makes the task. @returns its stdio, where it was to have one */
  async createTask(options: TaskOptions = {}, step = "create"): Promise<Stdio | undefined> {
    const wanted = options.stdio === true ? {} : options.stdio || undefined;
    const stdio = wanted ? this.stdio(`init-${this.stdios.length}`, wanted) : undefined;
    const bind = { type: "bind", source: this.stage.rootfs, options: ["rbind", "rw"] };
    const request = {
      containerId: this.id,
      rootfs: options.rootfs ?? (options.rootPath === undefined ? [bind] : []),
      terminal: options.terminalWithoutStdio ?? false,
      ...options.paths,
      ...stdio?.paths,
      checkpoint: options.checkpoint ?? null,
      options: options.options ?? this.stage.packRuncOptions(options.runcOptions, options.runcOptionsForm ?? "own"),
    };
    await this.call(step, this.tasks.create(request), ({ pid }) => {
      this.names.learnPid(pid, "init");
      return pid > 1 ? "ok, with a pid" : `ok, pid ${pid}`;
    });
    return stdio;
  }

  /** A container with its task, created. */
  async create(options: TaskOptions = {}): Promise<Stdio | undefined> {
    await this.container(options);
    return this.createTask(options);
  }

  /** A container whose service runs and is ready for signals. */
  async run(options: TaskOptions = {}): Promise<Stdio> {
    const stdio = await this.create({ stdio: true, ...options });
    await this.start();
    if (!stdio) throw new Error("a container that runs was to have stdio");
    if (!options.args) await stdio.stdout.saw("ready");
    return stdio;
  }

  /** Runs a container to its end. */
  async runToEnd(options: TaskOptions): Promise<Stdio> {
    const stdio = await this.create({ stdio: true, ...options });
    const ended = this.waitInBackground();
    await this.start();
    await ended("wait");
    if (!stdio) throw new Error("a container that is run to its end was to have stdio");
    return stdio;
  }

  start(execId = "", step = labelled("start", execId)): Promise<unknown> {
    return this.call(step, this.tasks.start({ containerId: this.id, execId }), ({ pid }) => {
      if (execId) this.names.learnPid(pid, execId);
      return `ok, ${this.names.pid(pid)}`;
    });
  }

  wait(execId = "", step = labelled("wait", execId)): Promise<unknown> {
    return this.waitInBackground(execId)(step);
  }

  /** Waits from now on; the answer is noted when the returned function is called. */
  waitInBackground(execId = ""): (step: string) => Promise<unknown> {
    const answer = this.tasks.wait({ containerId: this.id, execId });
    answer.catch(() => undefined);
    return (step) => this.call(step, answer, exitText);
  }

  kill(signal: number, options: { readonly execId?: string; readonly all?: boolean; readonly step?: string } = {}) {
    const { execId = "", all = false } = options;
    const step = options.step ?? labelled(`kill ${signal}${all ? " all" : ""}`, execId);
    return this.call(step, this.tasks.kill({ containerId: this.id, execId, signal, all }));
  }

  async addExec(execId: string, options: TaskOptions, step = labelled("exec", execId)): Promise<Stdio | undefined> {
    const wanted = options.stdio === true ? {} : options.stdio || undefined;
    const stdio = wanted ? this.stdio(`${execId}-${this.stdios.length}`, wanted) : undefined;
    const spec = packJson(OciTypeUrl.process, ociProcess({ ...options, terminal: stdio?.paths.terminal ?? false }));
    const request = { containerId: this.id, execId, spec, ...options.paths, ...stdio?.paths };
    await this.call(step, this.tasks.exec(request));
    return stdio;
  }

  /** Adds a process and starts it. */
  async exec(execId: string, args: readonly string[], options: TaskOptions = {}): Promise<Stdio> {
    const stdio = await this.addExec(execId, { stdio: true, ...options, args });
    await this.start(execId);
    if (!stdio) throw new Error("a process was to have stdio");
    return stdio;
  }

  delete(execId = "", step = labelled("delete", execId)): Promise<unknown> {
    const { id: containerId } = this;
    const answer = execId ? this.tasks.deleteProcess({ containerId, execId }) : this.tasks.delete({ containerId });
    return this.call(step, answer, ({ id, pid, exitStatus, exitedAt }) =>
      [`ok, id ${id || '""'}`, this.names.pid(pid), `exit ${exitStatus}`, `at ${timeText(exitedAt)}`].join(", "),
    );
  }

  state(execId = "", step = labelled("state", execId)): Promise<unknown> {
    return this.call(step, this.tasks.get({ containerId: this.id, execId }), ({ process }) => {
      if (!process) return "no process";
      const { id, containerId, pid, status, stdin, stdout, stderr, terminal, exitStatus, exitedAt } = process;
      const streams = Object.entries({ stdin, stdout, stderr }).filter(([, path]) => path);
      return [
        states[status],
        `id ${id} of ${containerId || '""'}`,
        this.names.pid(pid),
        `exit ${exitStatus} at ${timeText(exitedAt)}`,
        `${streams.map(([name]) => name).join("+") || "no stdio"}${terminal ? ", terminal" : ""}`,
      ].join(", ");
    });
  }

  closeStdio(): void {
    for (const stdio of this.stdios) stdio.close();
  }
}

export function exitText(answer: {
  exitStatus: number;
  exitedAt?: { seconds: number; nanos: number } | null | undefined;
}) {
  return `exit ${answer.exitStatus} at ${timeText(answer.exitedAt)}`;
}

function labelled(verb: string, execId: string): string {
  return execId ? `${verb} [${execId}]` : verb;
}
