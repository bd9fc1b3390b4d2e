import { holds } from "@kuasar/proto/any";
import { runtime } from "@kuasar/proto/containerd";
import { errorText, invalidArgument } from "../error/sandbox-error.ts";
import type { Mount } from "../monitor/monitor.ts";
import type { PodConfig } from "../pause/pod-config.ts";
import type { TypedBytes } from "../sandbox/typed-bytes.ts";

interface WireAny {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

interface WireMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

export function toMount({ type, source, target, options }: WireMount): Mount {
  return { type, source, target, options };
}

/** The options of a sandbox are either its CRI config or the runtime's options. */
export interface SandboxOptions {
  readonly pod?: PodConfig;
  readonly options?: TypedBytes;
}

/** INVALID_ARGUMENT for a config whose bytes are damaged. */
export function toSandboxOptions(any: WireAny | null | undefined): SandboxOptions {
  const options = toTypedBytes(any);
  if (options === undefined) {
    return {};
  }
  return holds(options, runtime.v1.PodSandboxConfig) ? { pod: toPodConfig(options.value) } : { options };
}

export function toTypedBytes(any: WireAny | null | undefined): TypedBytes | undefined {
  return any === null || any === undefined || any.typeUrl === ""
    ? undefined
    : { typeUrl: any.typeUrl, value: any.value };
}

function toPodConfig(bytes: Uint8Array): PodConfig {
  let config: runtime.v1.PodSandboxConfig;
  try {
    config = runtime.v1.PodSandboxConfig.decode(bytes);
  } catch (error) {
    throw invalidArgument(`the pod sandbox config cannot be decoded: ${errorText(error)}`);
  }
  const security = config.linux?.securityContext;
  const { network, pid, ipc, usernsOptions } = security?.namespaceOptions ?? {};
  const { NODE, POD } = runtime.v1.NamespaceMode;
  const dns = config.dnsConfig;
  const resources = config.linux?.resources;
  return {
    name: config.metadata?.name ?? "",
    namespace: config.metadata?.namespace ?? "",
    hostname: config.hostname,
    ...(dns && { dns: { servers: dns.servers, searches: dns.searches, options: dns.options } }),
    cgroupParent: config.linux?.cgroupParent ?? "",
    sysctls: config.linux?.sysctls ?? {},
    hostNetwork: network === NODE,
    hostPid: pid === NODE,
    hostIpc: ipc === NODE,
    userNamespace: usernsOptions?.mode === POD,
    ...(security?.runAsUser && { runAsUser: security.runAsUser.value }),
    ...(security?.runAsGroup && { runAsGroup: security.runAsGroup.value }),
    supplementalGroups: security?.supplementalGroups ?? [],
    ...(resources && {
      resources: {
        cpuPeriod: resources.cpuPeriod,
        cpuQuota: resources.cpuQuota,
        memoryLimitBytes: resources.memoryLimitInBytes,
      },
    }),
  };
}
