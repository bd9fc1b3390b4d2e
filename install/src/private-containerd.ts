import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { execa } from "execa";
import type { LabParts } from "../parts.mjs";
import {
  type ContainerdLayout,
  checkSocketPaths,
  cniConfigList,
  containerdLayout,
  containerdToml,
  type RuntimeEntry,
  snapshotterFor,
} from "./containerd-config.ts";
import { type CriClient, connectCri } from "./cri-client.ts";
import { busyboxImage, pauseImage, pauseReference } from "./images.ts";
import { type OciImage, ociImageArchive } from "./oci-image.ts";
import { readProcess } from "./process-table.ts";
import { removeRemains, type SharedPlaces, sharedPlaces } from "./remains.ts";
import { freeSubnet } from "./subnet.ts";
import { waitUntil } from "./wait-until.ts";

export interface PrivateContainerdOptions {
  /** Folder for everything it keeps; must not exist or be empty. Its path must leave room for socket names. */
  readonly directory: string;
  readonly parts: LabParts;
  /** By name, as CRI's runtime handlers; the first one is the default. */
  readonly runtimes: Readonly<Record<string, RuntimeEntry>>;
  /** Folders searched for shims before the machine's own. */
  readonly path?: readonly string[];
  /** Sets ENABLE_CRI_SANDBOXES=1, without which containerd 1.7 ignores `sandbox_mode`. */
  readonly criSandboxes?: boolean;
  /** More of its environment, and so of its shims'. */
  readonly env?: Readonly<Record<string, string>>;
  readonly debug?: boolean;
  /** Whether systemd makes the pods' cgroups: their parent is a slice then. */
  readonly systemdCgroup?: boolean;
}

/** What is needed to find a private containerd again from another process. */
interface ContainerdRecord {
  readonly options: PrivateContainerdOptions;
  readonly bridge: string;
  readonly subnet: string;
  readonly cgroupParent: string;
  readonly before: SharedPlaces;
  readonly pid?: number;
  readonly startTime?: number;
}

export interface CtrOptions {
  readonly input?: Uint8Array;
  /** Whether an exit code other than 0 throws. Default: true. */
  readonly reject?: boolean;
}

export interface CtrResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A containerd that shares nothing with the machine's own one but the kernel. */
export interface PrivateContainerd {
  readonly layout: ContainerdLayout;
  readonly parts: LabParts;
  /** The CNI bridge of this containerd's pods. */
  readonly bridge: string;
  /** To be given as the pods' cgroup parent, so that teardown knows whose groups they are. */
  readonly cgroupParent: string;
  /** The containerd namespace `ctr` uses where none is given. It names the tasks' cgroup parent, so it is that. */
  readonly ctrNamespace: string;
  readonly snapshotter: string;
  /** Connected for as long as this object lives; it reconnects by itself after a restart. */
  readonly cri: CriClient;
  readonly pid: number | undefined;
  /** Starts containerd and waits until its CRI is ready. */
  start(): Promise<void>;
  /** Ends containerd by a signal and waits for its end. Pods go on. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Brings in the locally made busybox and pause images, for CRI and for ctr. */
  importImages(): Promise<void>;
  /** Brings in another image. */
  importImage(image: OciImage): Promise<void>;
  /** Runs ctr against this containerd. */
  ctr(args: readonly string[], options?: CtrOptions): Promise<CtrResult>;
  /** The command line that `ctr` runs, to be run in some other way: in the background, on a terminal. */
  ctrCommand(args: readonly string[]): [string, ...string[]];
  /**
   * Removes all pods and containers, ends containerd, and removes all it made.
   *
   * @returns what should have been gone by then and had to be removed by force, a line for each thing
   */
  stop(): Promise<string[]>;
}

/** The containerd namespace that its CRI keeps pods in. */
export const criNamespace = "k8s.io";

const recordName = "private-containerd.json";

export async function createPrivateContainerd(options: PrivateContainerdOptions): Promise<PrivateContainerd> {
  const layout = containerdLayout(options.directory);
  checkSocketPaths(layout);
  // As /run/containerd: who runs in a user namespace passes through here to its root.
  mkdirSync(options.directory, { recursive: true, mode: 0o711 });
  const present = readdirSync(options.directory);
  if (present.length > 0)
    throw new Error(`${options.directory}: expected an empty folder, found ${present.join(", ")}`);
  const id = randomBytes(3).toString("hex");
  const record: ContainerdRecord = {
    options,
    // Interface names end at 15 characters.
    bridge: `kuasar${id}`,
    subnet: await freeSubnet(),
    cgroupParent: options.systemdCgroup ? `/kuasar.slice/kuasar-${id}.slice` : `/kuasar-${id}`,
    before: sharedPlaces(),
  };
  mkdirSync(layout.cniConfDir);
  writeFileSync(join(layout.cniConfDir, "10-kuasar.conflist"), cniConfigList(record, layout.cniDataDir));
  const toml = containerdToml({
    layout,
    cniBinDir: options.parts.cniDir,
    sandboxImage: pauseReference,
    runtimes: options.runtimes,
    debug: options.debug ?? false,
  });
  writeFileSync(layout.configFile, toml);
  writeFileSync(join(options.directory, recordName), JSON.stringify(record));
  return new OwnContainerd(record, layout);
}

/** Finds a private containerd that an earlier process left running. */
export function openPrivateContainerd(directory: string): PrivateContainerd {
  const record = JSON.parse(readFileSync(join(directory, recordName), "utf8")) as ContainerdRecord;
  return new OwnContainerd(record, containerdLayout(directory));
}

class OwnContainerd implements PrivateContainerd {
  readonly parts: LabParts;
  readonly bridge: string;
  readonly cgroupParent: string;
  readonly ctrNamespace: string;
  readonly snapshotter: string;
  readonly cri: CriClient;

  constructor(
    private record: ContainerdRecord,
    readonly layout: ContainerdLayout,
  ) {
    this.parts = record.options.parts;
    this.bridge = record.bridge;
    this.cgroupParent = record.cgroupParent;
    this.ctrNamespace = basename(record.cgroupParent, ".slice");
    this.snapshotter = snapshotterFor(layout.directory);
    this.cri = connectCri(layout.socket);
  }

  get pid(): number | undefined {
    const { pid, startTime } = this.record;
    if (pid === undefined) return undefined;
    const process = readProcess(pid);
    return process && process.startTime === startTime && process.state !== "Z" ? pid : undefined;
  }

  async start(): Promise<void> {
    if (this.pid !== undefined) throw new Error(`containerd in ${this.layout.directory} runs already, as ${this.pid}`);
    const { parts, options } = { parts: this.parts, options: this.record.options };
    const env = { ...options.env, ...(options.criSandboxes ? { ENABLE_CRI_SANDBOXES: "1" } : {}) };
    const path = [...(options.path ?? []), parts.shimDir, process.env.PATH ?? "", "/usr/local/sbin:/usr/sbin:/sbin"];
    const log = openSync(this.layout.logFile, "a", 0o600);
    const child = spawn(parts.containerd, ["--config", this.layout.configFile], {
      // A group of its own: what interrupts us at a terminal must not take it away before its pods are.
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...env, PATH: path.join(":") },
    });
    closeSync(log);
    child.unref();
    await once(child, "spawn");
    if (child.pid === undefined) throw new Error(`${parts.containerd} was started and has no pid`);
    this.remember(child.pid);
    await waitUntil(() => this.cri.ready(), {
      what: `the CRI of containerd in ${this.layout.directory}`,
      timeoutMs: 60_000,
      check: () => {
        if (this.pid === undefined) throw new Error(`containerd ended; the end of its log:\n${this.logTail()}`);
      },
    });
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    process.kill(pid, signal);
    await waitUntil(() => this.pid === undefined, { what: `containerd ${pid} to end by ${signal}`, timeoutMs: 30_000 });
  }

  async importImages(): Promise<void> {
    for (const image of [await pauseImage(this.parts), await busyboxImage(this.parts)]) await this.importImage(image);
  }

  async importImage(image: OciImage): Promise<void> {
    const archive = ociImageArchive(image);
    for (const namespace of [criNamespace, this.ctrNamespace]) {
      const args = ["--namespace", namespace, "image", "import", "--snapshotter", this.snapshotter, "-"];
      await this.ctr(args, { input: archive });
    }
  }

  async ctr(args: readonly string[], options: CtrOptions = {}): Promise<CtrResult> {
    const [program, ...rest] = this.ctrCommand(args);
    const input = options.input ?? new Uint8Array();
    const result = await execa(program, rest, { input, reject: options.reject ?? true });
    if (result.exitCode === undefined) throw new Error(result.message);
    return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode };
  }

  ctrCommand(args: readonly string[]): [string, ...string[]] {
    const common = ["--address", this.layout.socket];
    if (args[0] !== "--namespace") common.push("--namespace", this.ctrNamespace);
    return [this.parts.ctr, ...common, ...args];
  }

  async stop(): Promise<string[]> {
    return removeRemains(this, this.record.before);
  }

  private remember(pid: number): void {
    const startTime = readProcess(pid)?.startTime;
    this.record = startTime === undefined ? { ...this.record, pid } : { ...this.record, pid, startTime };
    writeFileSync(join(this.layout.directory, recordName), JSON.stringify(this.record));
  }

  private logTail(): string {
    return readFileSync(this.layout.logFile, "utf8").trimEnd().split("\n").slice(-10).join("\n");
  }
}
