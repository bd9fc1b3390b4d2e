import type { RuntimeEntry } from "@kuasar/install/containerd-config";

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
}

const kuasar = { type: "io.containerd.kuasar-v2.node", shim: "containerd-shim-kuasar-v2-node", sandboxer: true } as const;

/** containerd's own shim comes first: it shows that a test asks for what containerd really does. */
export const runtimeCases: readonly RuntimeCase[] = [
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

/** @param socket the sandboxer's, where there is one */
export function runtimeEntry(runtimeCase: RuntimeCase, socket: string): RuntimeEntry {
  return {
    runtime_type: runtimeCase.type,
    ...(runtimeCase.sandboxMode ? { sandbox_mode: runtimeCase.sandboxMode } : {}),
    ...(runtimeCase.sandboxer ? { options: { socket } } : {}),
  };
}
