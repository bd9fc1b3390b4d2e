import type { RuntimeEntry } from "@kuasar/install/containerd-config";
import type { OciImage } from "@kuasar/install/oci-image";
import type { TomlTable } from "smol-toml";

/** One way that containerd comes to a shim. Every CRI test runs in each of them. */
export interface RuntimeCase {
  /** For test titles. */
  readonly title: string;
  /** CRI's runtime handler, and the key in containerd's runtimes table. */
  readonly handler: string;
  /** The runtime type, for `ctr run --runtime`. */
  readonly type: string;
  /** What the shim's program is called. */
  readonly shim: string;
  /** Whether containerd runs with ENABLE_CRI_SANDBOXES=1. */
  readonly criSandboxes: boolean;
  /** Whether a sandboxer is behind the shim. */
  readonly sandboxer: boolean;
  readonly sandboxMode?: "podsandbox" | "shim";
  /** The sandboxer's program. Default: runc-sandboxer. */
  readonly program?: string;
  /** The sandboxer's config file. */
  readonly config?: () => Promise<TomlTable>;
  /** Images beside those that every lab has. */
  readonly images?: () => readonly OciImage[];
}

const kuasar = { type: "io.containerd.kuasar.v2", shim: "containerd-shim-kuasar-v2", sandboxer: true } as const;

/** containerd's own shim comes first: it shows that a test asks for what containerd really does. */
export const runtimeCases: readonly RuntimeCase[] = [
  {
    title: "containerd's own runc shim",
    handler: "runc",
    type: "io.containerd.runc.v2",
    shim: "containerd-shim-runc-v2",
    criSandboxes: false,
    sandboxer: false,
  },
  { title: "the kuasar shim in default CRI mode", handler: "kuasar", criSandboxes: false, ...kuasar },
  {
    title: "the kuasar shim with sandbox_mode shim",
    handler: "kuasar-shim-mode",
    criSandboxes: true,
    sandboxMode: "shim",
    ...kuasar,
  },
];

export const kuasarCases: readonly RuntimeCase[] = runtimeCases.filter((runtimeCase) => runtimeCase.sandboxer);

/** What is below the shim, in every case alike. */
export interface Variant {
  /** The OCI runtime. */
  readonly runtime: "runc" | "crun";
  /** Whether cgroups are made by systemd, which must run here. */
  readonly systemdCgroup: boolean;
}

/** KUASAR_TEST_RUNTIME=crun, KUASAR_TEST_CGROUPS=systemd */
export const variant: Variant = {
  runtime: oneOf("KUASAR_TEST_RUNTIME", "runc", "crun"),
  systemdCgroup: oneOf("KUASAR_TEST_CGROUPS", "cgroupfs", "systemd") === "systemd",
};

/** A choice that the environment makes. */
export function oneOf<T extends string>(name: string, usual: T, other: T): T {
  const value = process.env[name] || usual;
  if (value !== usual && value !== other) throw new Error(`${name}: expected ${usual} or ${other}, got ${value}`);
  return value as T;
}

/** @param socket the sandboxer's, where there is one */
export function runtimeEntry(runtimeCase: RuntimeCase, socket: string): RuntimeEntry {
  const { runtime, systemdCgroup } = variant;
  // containerd's own shim keeps runc: Debian's crun does not know the version of its specs.
  const choice = runtimeCase.sandboxer ? { socket, runtime } : {};
  return {
    runtime_type: runtimeCase.type,
    ...(runtimeCase.sandboxMode ? { sandbox_mode: runtimeCase.sandboxMode } : {}),
    options: { ...choice, ...(systemdCgroup ? { SystemdCgroup: true } : {}) },
    ...(runtimeCase.program ? { pod_annotations: ["kuasar.io/*"], container_annotations: ["kuasar.io/*"] } : {}),
  };
}
