import type { OciSeccomp } from "../seccomp/oci-seccomp.ts";

/**
 * The part of an OCI runtime spec that a sandboxer reads; all else passes through untouched.
 * https://github.com/opencontainers/runtime-spec/blob/main/config.md
 */
export interface OciSpec {
  ociVersion?: string;
  process?: OciProcess;
  root?: { path?: string; readonly?: boolean };
  hostname?: string;
  domainname?: string;
  mounts?: OciMount[];
  annotations?: Record<string, string>;
  hooks?: Record<string, unknown[] | undefined>;
  linux?: OciLinux;
}

export interface OciProcess {
  terminal?: boolean;
  user?: { uid?: number; gid?: number; additionalGids?: number[] };
  args?: string[];
  env?: string[];
  cwd?: string;
  oomScoreAdj?: number;
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  rlimits?: OciResourceLimit[];
}

export interface OciResourceLimit {
  /** "RLIMIT_NOFILE" */
  type: string;
  soft: number;
  hard: number;
}

export interface OciDevice {
  /** In the container. */
  path: string;
  /** "c" or "u", "b", "p" */
  type: string;
  major?: number;
  minor?: number;
}

export interface OciMount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

export interface OciIdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export interface OciLinux {
  namespaces?: { type: string; path?: string }[];
  uidMappings?: OciIdMapping[];
  gidMappings?: OciIdMapping[];
  sysctl?: Record<string, string>;
  cgroupsPath?: string;
  intelRdt?: unknown;
  devices?: OciDevice[];
  seccomp?: OciSeccomp;
  resources?: OciResources;
}

export interface OciResources {
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string; mems?: string };
  memory?: { limit?: number; swap?: number; reservation?: number };
  pids?: { limit?: number };
  devices?: OciDeviceRule[];
}

export interface OciDeviceRule {
  allow: boolean;
  /** "a", "c" or "b"; without numbers, all of the type. */
  type?: string;
  major?: number;
  minor?: number;
  /** Of "rwm". */
  access?: string;
}
