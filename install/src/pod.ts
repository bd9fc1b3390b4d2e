import { randomBytes } from "node:crypto";
import { runtime } from "@kuasar/proto/cri";
import type { CriClient } from "./cri-client.ts";
import { busyboxReference } from "./images.ts";
import { patience } from "./wait-until.ts";

const { NamespaceMode } = runtime.v1;

export interface PodOptions {
  /** RuntimeClass handler, a key of containerd's runtimes table. */
  readonly handler: string;
  readonly name?: string;
  /** "host": the machine's network; "cni": a network namespace of the pod's own. Default: host. */
  readonly network?: "host" | "cni";
  /** Whether the pod's containers see each other's processes. Default: each its own. */
  readonly sharePid?: boolean;
  readonly cgroupParent?: string;
  readonly logDirectory?: string;
  readonly hostname?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Has the last word on the config: for what has no option of its own. */
  readonly configure?: (config: PodConfig) => void;
}

/** CRI's configs, with the parts that are always there. */
export type PodConfig = runtime.v1.IPodSandboxConfig & {
  linux: runtime.v1.ILinuxPodSandboxConfig & {
    securityContext: runtime.v1.ILinuxSandboxSecurityContext & { namespaceOptions: runtime.v1.INamespaceOption };
  };
};
export type ContainerConfig = runtime.v1.IContainerConfig & {
  linux: runtime.v1.ILinuxContainerConfig & {
    resources: runtime.v1.ILinuxContainerResources;
    securityContext: runtime.v1.ILinuxContainerSecurityContext & { namespaceOptions: runtime.v1.INamespaceOption };
  };
};

export interface ContainerOptions {
  readonly name?: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** File below the pod's log directory. Default: the name with ".log". */
  readonly logPath?: string;
  readonly memoryLimitBytes?: number;
  /** Has the last word on the config: for what has no option of its own. */
  readonly configure?: (config: ContainerConfig) => void;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A command that runs until it is told to stop, and then ends at once. */
export const sleepCommand: readonly string[] = [
  "sh",
  "-c",
  "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done",
];

export function podConfig(options: PodOptions): PodConfig {
  const uid = randomBytes(8).toString("hex");
  const config: PodConfig = {
    metadata: { name: options.name ?? `pod-${uid}`, uid, namespace: "default", attempt: 0 },
    // A pod on the host's network has the host's name; CRI leaves it to the caller to say so.
    hostname: options.network === "cni" ? (options.hostname ?? "pod") : "",
    logDirectory: options.logDirectory ?? "",
    annotations: { ...options.annotations },
    linux: { cgroupParent: options.cgroupParent ?? "", securityContext: { namespaceOptions: namespaces(options) } },
  };
  options.configure?.(config);
  return config;
}

export function containerConfig(pod: PodOptions, options: ContainerOptions = {}): ContainerConfig {
  const name = options.name ?? `container-${randomBytes(4).toString("hex")}`;
  const config: ContainerConfig = {
    metadata: { name, attempt: 0 },
    image: { image: options.image ?? busyboxReference },
    command: [...(options.command ?? sleepCommand)],
    args: [...(options.args ?? [])],
    envs: Object.entries(options.env ?? {}).map(([key, value]) => ({ key, value })),
    logPath: pod.logDirectory ? (options.logPath ?? `${name}.log`) : "",
    linux: {
      resources: { memoryLimitInBytes: options.memoryLimitBytes ?? 0 },
      securityContext: { namespaceOptions: namespaces(pod) },
    },
  };
  options.configure?.(config);
  return config;
}

function namespaces(options: PodOptions): runtime.v1.INamespaceOption {
  return {
    network: options.network === "cni" ? NamespaceMode.POD : NamespaceMode.NODE,
    pid: options.sharePid ? NamespaceMode.POD : NamespaceMode.CONTAINER,
    ipc: NamespaceMode.POD,
  };
}

/** A pod seen through the CRI, as the kubelet would drive it. */
export class Pod {
  private constructor(
    private readonly cri: CriClient,
    readonly id: string,
    readonly options: PodOptions,
    private readonly config: PodConfig,
  ) {}

  /** RunPodSandbox. */
  static async run(cri: CriClient, options: PodOptions): Promise<Pod> {
    const config = podConfig(options);
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config, runtimeHandler: options.handler });
    return new Pod(cri, podSandboxId, options, config);
  }

  /** @returns the container's id */
  async create(options: ContainerOptions = {}): Promise<string> {
    const { containerId } = await this.cri.runtime.createContainer({
      podSandboxId: this.id,
      config: containerConfig(this.options, options),
      sandboxConfig: this.config,
    });
    return containerId;
  }

  /** Creates a container and starts it. */
  async start(options: ContainerOptions = {}): Promise<string> {
    const containerId = await this.create(options);
    await this.cri.runtime.startContainer({ containerId });
    return containerId;
  }

  async exec(containerId: string, ...cmd: string[]): Promise<ExecResult> {
    const { stdout, stderr, exitCode } = await this.cri.runtime.execSync({ containerId, cmd, timeout: 60 * patience });
    return { stdout: text(stdout), stderr: text(stderr), exitCode };
  }

  async containerStatus(containerId: string): Promise<runtime.v1.ContainerStatus> {
    const { status } = await this.cri.runtime.containerStatus({ containerId });
    if (!status) throw new Error(`container ${containerId}: containerd answered without a status`);
    return status;
  }

  async status(): Promise<runtime.v1.PodSandboxStatus> {
    const { status } = await this.cri.runtime.podSandboxStatus({ podSandboxId: this.id });
    if (!status) throw new Error(`pod ${this.id}: containerd answered without a status`);
    return status;
  }

  async stop(): Promise<void> {
    await this.cri.runtime.stopPodSandbox({ podSandboxId: this.id });
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.cri.runtime.removePodSandbox({ podSandboxId: this.id });
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
