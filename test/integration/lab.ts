import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RuntimeEntry } from "@kuasar/install/containerd-config";
import { unmountBelow } from "@kuasar/install/mount-table";
import { labParts } from "@kuasar/install/parts";
import { Pod, type PodOptions } from "@kuasar/install/pod";
import { createPrivateContainerd, type PrivateContainerd } from "@kuasar/install/private-containerd";
import { type Process, processTable } from "@kuasar/install/process-table";
import { programDirectory, programPath } from "@kuasar/install/programs";
import { SandboxerProcess } from "@kuasar/install/sandboxer-process";
import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { stringify } from "smol-toml";
import { footprint } from "./footprint.ts";
import { type RuntimeCase, runtimeEntry, variant } from "./runtime-case.ts";

const PROGRAMS = "programs";
const runtimeOptions = "runtime-options.toml";

/** What a lab is given beside its runtime case. */
export interface LabExtras {
  /** A folder searched for shims before ours. */
  readonly shimDirectory?: string;
  /** More arguments for the sandboxer. */
  readonly sandboxerArgs?: readonly string[];
}

/** A private containerd, with a sandboxer behind it where the case has one, for one suite of tests. */
export class Lab {
  private before: string[] = [];

  private constructor(
    readonly runtimeCase: RuntimeCase,
    readonly containerd: PrivateContainerd,
    /** Folder for logs and scratch files; goes with the lab. */
    readonly directory: string,
    private readonly sandboxerProcess: SandboxerProcess | undefined,
  ) {}

  /** @param env what containerd's environment has beside */
  static async start(
    runtimeCase: RuntimeCase,
    extraRuntimes: Record<string, RuntimeEntry> = {},
    env: Record<string, string> = {},
    extras: LabExtras = {},
  ): Promise<Lab> {
    if (process.getuid?.() !== 0) throw new Error("integration tests run containers: expected uid 0");
    const parts = await labParts();
    const program = runtimeCase.sandboxer ? programPath(runtimeCase.program ?? "runc-sandboxer") : undefined;
    const config = await runtimeCase.config?.();
    const directory = await mkdtemp(join(tmpdir(), "kuasar-test-"));
    chmodSync(directory, 0o711);
    const socket = join(directory, "sandboxer.sock");
    mkdirSync(join(directory, PROGRAMS));
    writeFileSync(join(directory, runtimeOptions), stringify({ socket, runtime: variant.runtime }));
    const containerd = await createPrivateContainerd({
      systemdCgroup: variant.systemdCgroup,
      directory: join(directory, "containerd"),
      parts,
      path: [...(extras.shimDirectory ? [extras.shimDirectory] : []), join(directory, PROGRAMS), programDirectory()],
      criSandboxes: runtimeCase.criSandboxes,
      // For options that cannot name the sandboxer's socket.
      env: { KUASAR_RUNC_SOCKET: socket, ...env },
      runtimes: { [runtimeCase.handler]: runtimeEntry(runtimeCase, socket), ...extraRuntimes },
    });
    const places = { socket, directory: join(directory, "sandboxes"), logFile: join(directory, "sandboxer.log") };
    const configFile = join(directory, "sandboxer.toml");
    if (config) writeFileSync(configFile, stringify(config));
    const args = [...(config ? ["--config", configFile] : []), ...(extras.sandboxerArgs ?? [])];
    const sandboxer = program ? new SandboxerProcess({ program, ...places, args }) : undefined;
    const lab = new Lab(runtimeCase, containerd, directory, sandboxer);
    try {
      await sandboxer?.start();
      await containerd.start();
      await containerd.importImages();
      for (const image of runtimeCase.images?.() ?? []) await containerd.importImage(image);
      lab.before = await footprint(lab);
    } catch (error) {
      await lab.discard();
      throw error;
    }
    return lab;
  }

  /** A folder in the PATH of containerd and its shims, before all others. */
  get programs(): string {
    return join(this.directory, PROGRAMS);
  }

  get sandboxer(): SandboxerProcess {
    if (!this.sandboxerProcess) throw new Error(`there is no sandboxer behind ${this.runtimeCase.title}`);
    return this.sandboxerProcess;
  }

  /** Where the sandboxer keeps its state, if there is one. */
  get sandboxDirectory(): string | undefined {
    return this.sandboxerProcess?.options.directory;
  }

  runPod(options: Partial<PodOptions> = {}): Promise<Pod> {
    const { handler } = this.runtimeCase;
    const { cgroupParent, cri } = this.containerd;
    return Pod.run(cri, { handler, cgroupParent, logDirectory: this.podLogs, ...options });
  }

  /** The pods' log directory. */
  get podLogs(): string {
    return join(this.directory, "pod-logs");
  }

  /** What a container's log says by now. */
  podLog(name: string): string {
    return readFileSync(join(this.podLogs, `${name}.log`), "utf8");
  }

  /** `ctr run` of our busybox image with this lab's runtime. */
  ctrRunArgs(flags: readonly string[], id: string, ...command: string[]): string[] {
    return this.ctrRunImageArgs("docker.io/library/busybox:kuasar", flags, id, ...command);
  }

  ctrRunImageArgs(image: string, flags: readonly string[], id: string, ...command: string[]): string[] {
    const runtime = ["--runtime", this.runtimeCase.type];
    if (this.sandboxerProcess) runtime.push("--runtime-config-path", this.runtimeOptionsFile);
    const snapshotter = ["--snapshotter", this.containerd.snapshotter];
    return ["run", ...runtime, ...snapshotter, ...flags, image, id, ...command];
  }

  get runtimeOptionsFile(): string {
    return join(this.directory, runtimeOptions);
  }

  shimOf(id: string): Process {
    const shims = processTable().filter(({ argv }) => argv[0]?.endsWith(this.runtimeCase.shim) && argv.includes(id));
    const [shim] = shims;
    if (!shim || shims.length > 1) throw new Error(`expected one shim of ${id}, found ${shims.length}`);
    return shim;
  }

  /** A pod's shim socket, as its bundle names it. */
  shimSocket(namespace: string, id: string): string {
    const bundle = join(this.containerd.layout.state, "io.containerd.runtime.v2.task", namespace, id);
    const address = readFileSync(join(bundle, "address"), "utf8").trim();
    return address.replace(/^unix:\/\//, "");
  }

  /** Fails unless processes, mounts, cgroups, sockets and folders are as they were when the lab began. */
  async assertNothingLeft(): Promise<void> {
    const { before } = this;
    let now: string[] = [];
    const same = async () => {
      now = await footprint(this);
      return now.length === before.length && now.every((line, index) => line === before[index]);
    };
    // Shims, namespaces and cgroups go a moment after the call that ends them has returned.
    await waitUntil(same, { what: "the pods' traces to go", timeoutMs: 5000, intervalMs: 100 }).catch(() => undefined);
    assert.deepEqual(now, before);
  }

  /** Ends everything and fails if something had to be removed by force, but for what is known to be there. */
  async stop(isKnown: (remains: string) => boolean = () => false): Promise<void> {
    if (this.sandboxerProcess?.pid === undefined) await this.sandboxerProcess?.start();
    const remains = await this.discard();
    assert.deepEqual(
      remains.filter((line) => !isKnown(line)),
      [],
    );
  }

  /** Ends everything, whatever state it is in. */
  private async discard(): Promise<string[]> {
    let remains: string[];
    try {
      remains = await this.containerd.stop();
    } finally {
      await this.sandboxerProcess?.kill("SIGTERM");
    }
    for (const target of await unmountBelow(this.directory)) remains.push(`mount ${target}`);
    rmSync(this.directory, { recursive: true });
    return remains;
  }
}

/** A lab for the tests of the enclosing `describe`, started before the first and ended after the last. */
export function useLab(...settings: Parameters<typeof Lab.start>): () => Lab {
  let lab: Lab | undefined;
  before(async () => {
    lab = await Lab.start(...settings);
  });
  after(async () => {
    await lab?.stop();
  });
  return () => {
    if (!lab) throw new Error("the lab did not start");
    return lab;
  };
}
