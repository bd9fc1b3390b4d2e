/** What a case may ask of its container. */
export interface SpecOptions {
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly env?: readonly string[];
  readonly uid?: number;
  readonly terminal?: boolean;
  /** A path for the rootfs in place of the bundle's own. */
  readonly rootPath?: string;
  readonly memoryLimit?: number;
  /** Joins the machine's pid namespace. */
  readonly hostPid?: boolean;
  readonly noProcess?: boolean;
  readonly hooks?: Readonly<Record<string, readonly { path: string; args?: readonly string[] }[]>>;
}

/** Runs until it is told to end; SIGTERM ends it with 0, SIGUSR1 with 42. */
export const serviceArgs: readonly string[] = [
  "sh",
  "-c",
  "trap 'exit 0' TERM; trap 'exit 42' USR1; echo ready; while :; do sleep 1000 & wait $!; done",
];

const capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"];

export function ociProcess(options: SpecOptions): Record<string, unknown> {
  return {
    terminal: options.terminal ?? false,
    user: { uid: options.uid ?? 0, gid: 0 },
    args: options.args ?? serviceArgs,
    env: options.env ?? ["PATH=/bin", "TERM=xterm"],
    cwd: options.cwd ?? "/",
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: true,
  };
}

/** A spec such as containerd's client makes: namespaces of its own. */
export function ociSpec(cgroupsPath: string, options: SpecOptions): Record<string, unknown> {
  const namespaces = ["ipc", "uts", "mount", "network", ...(options.hostPid ? [] : ["pid"])].map((type) => ({ type }));
  const memory = options.memoryLimit ? { limit: options.memoryLimit, swap: options.memoryLimit } : {};
  return {
    ociVersion: "1.0.2",
    ...(options.noProcess ? {} : { process: ociProcess(options) }),
    root: { path: options.rootPath ?? "rootfs" },
    ...(options.hooks ? { hooks: options.hooks } : {}),
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"] },
    ],
    linux: {
      cgroupsPath,
      namespaces,
      resources: { devices: [{ allow: true, access: "rwm" }], ...(options.memoryLimit ? { memory } : {}) },
    },
  };
}
