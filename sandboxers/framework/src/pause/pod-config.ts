/** What a sandboxer reads of CRI's PodSandboxConfig, decoded. Contract: cri-api `runtime/v1/api.proto`. */
export interface PodConfig {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly dns?: { readonly servers: string[]; readonly searches: string[]; readonly options: string[] };
  readonly cgroupParent: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly hostNetwork: boolean;
  readonly hostPid: boolean;
  readonly hostIpc: boolean;
  /** Whether the pod is to have a user namespace of its own. */
  readonly userNamespace: boolean;
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly supplementalGroups: readonly number[];
  /** What all containers of the pod may use together, as the kubelet adds it up; 0 where nothing is limited. */
  readonly resources?: { readonly cpuPeriod: number; readonly cpuQuota: number; readonly memoryLimitBytes: number };
}
