import type { Exit } from "../sandbox/exit.ts";

/**
 * The parent of a sandbox's processes, in a process of its own that lives as long as the sandbox. All that needs fork,
 * mount, setns or a pidfd happens there. Every method throws SandboxError: UNAVAILABLE while nobody answers at the
 * address. Contract: `kuasar/monitor/v1/monitor.proto`.
 */
export interface Monitor {
  /** `unix:///path` */
  readonly address: string;
  /** True once nobody has answered at the address for so long that nobody will. */
  readonly lost: boolean;
  /** Settles once the monitor is lost, which is noticed without a call; never after `close`. */
  readonly gone: Promise<void>;
  /** Connects ahead of the first call. */
  warmUp(): void;
  /** Looks now whether anybody answers at the address; if not, the monitor is lost from here on. */
  probe(): Promise<void>;
  /** Starts a process that stays; answers with its pid in the host's pid namespace. */
  spawn(request: SpawnRequest): Promise<number>;
  /** Has a process that was spawned with `hold` become its program. */
  proceed(key: string): Promise<void>;
  /** Runs a command that ends by itself. */
  run(request: RunRequest): Promise<RunResult>;
  /**
   * Kills the commands that are run for this owner now: their `run` throws CANCELLED. Harmless if there are none, and
   * without effect where the monitor, an older one, cannot do it.
   */
  cancel(owner: string): Promise<void>;
  /** Answers when the process has exited, over any number of reconnections. NOT_FOUND for an unknown key. */
  wait(key: string): Promise<ExitedProcess>;
  list(): Promise<MonitoredProcess[]>;
  /** NOT_FOUND once the process has exited. */
  signal(key: string, signal: number): Promise<void>;
  /** Makes a process known that somebody else started, if it started then (clock ticks since boot). */
  adopt(key: string, pid: number, startTime: number): Promise<void>;
  resize(key: string, width: number, height: number): Promise<void>;
  closeStdin(key: string): Promise<void>;
  /** Keeps FIFOs open, both ends, until the key is released. */
  hold(key: string, fifos: readonly string[]): Promise<void>;
  /**
   * Makes the files, or starts the log driver, that a process's log URIs name; a driver reads from FIFOs that are made for
   * it, until the key is released. UNIMPLEMENTED where the monitor, an older one, cannot. Contract: OpenLog in the .proto.
   */
  openLog(key: string, log: OutputLog): Promise<void>;
  /** Serves the vsock ports of the virtual machine `cid` on a unix socket, as hybrid vsock, until the key is released. */
  serveVsock(key: string, path: string, cid: number): Promise<void>;
  release(key: string): Promise<void>;
  /**
   * Processes of a container that have been killed for lack of memory, in all, where the monitor cannot see that. Without
   * effect where the monitor, an older one, cannot tell anybody.
   */
  reportOom(id: string, kills: number): Promise<void>;
  /**
   * Takes every TCP connection to an address of the network namespace's own, until the process has exited, and hands each on
   * to the unix socket. UNIMPLEMENTED where the kernel or the monitor cannot. Contract: Forward in the .proto.
   */
  forward(key: string, network: string, socket: string): Promise<void>;
  mount(mounts: readonly Mount[], target: string): Promise<void>;
  unmount(target: string): Promise<void>;
  /** Gives the connection up. Calls that wait are rejected. */
  close(): void;
}

export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Below the mounts' common target; "" for the target itself. */
  readonly target: string;
  readonly options: readonly string[];
}

export interface Stdio {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  /** Where the OCI runtime sends the terminal to, if there is one. */
  readonly consoleSocket: string;
  readonly uid: number;
  readonly gid: number;
  /** Pipes for the process in place of its FIFOs. */
  readonly pipes?: boolean;
  /** Of a process that is spawned: the monitor writes its files, and keeps the last so many bytes (and up to twice that). */
  readonly keptBytes?: number;
}

/** Where a process's output goes that somebody else than the monitor brings there. */
export interface OutputLog {
  /** As in Stdio. */
  readonly stdout: string;
  readonly stderr: string;
  /** Where a driver's FIFOs are made; "" for a stream that nobody will write to. */
  readonly stdoutFifo: string;
  readonly stderrFifo: string;
}

export interface IdMapping {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

/** `path` "" makes a new one. */
export interface Namespace {
  readonly type: "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup";
  readonly path: string;
}

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** Numbers of the capabilities kept. */
  readonly capabilities: readonly number[];
  readonly noNewPrivileges: boolean;
  /** A filter as seccomp(2) takes it. */
  readonly seccomp?: Uint8Array;
  readonly limits?: readonly ResourceLimit[];
  /** What the program is confined by from its exec on. */
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
}

/** As setrlimit(2) has it; a limit that is left out is none. */
export interface ResourceLimit {
  /** The kernel's number. */
  readonly resource: number;
  readonly soft?: number;
  readonly hard?: number;
}

/** One mount in a root that is made for a process. Contract: RootMount in `kuasar/monitor/v1/monitor.proto`. */
export interface RootMount {
  /** "bind", or a file system that needs no device. */
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
  /** The folder of the new root that no symbolic link in the target leads out of. */
  readonly within?: string;
}

export interface SpawnRequest {
  readonly key: string;
  /** The first is the path of the program. */
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly stdio?: Stdio;
  readonly namespaces: readonly Namespace[];
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  readonly cgroupProcs: readonly string[];
  readonly hostname: string;
  readonly domainname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly credentials?: Credentials;
  readonly emptyRoot: boolean;
  readonly oomScoreAdj?: number;
  readonly parentDeathSignal: number;
  /** The mounts of a new root; none for the host's own, or an empty one. */
  readonly root?: readonly RootMount[];
  /**
   * Everything is done but the exec, which waits for `proceed`. Its pid is known before the rest is done: `proceed` tells
   * what of that has failed.
   */
  readonly hold?: boolean;
}

export interface RunRequest {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly stdio?: Stdio;
  /** The process whose pid the command leaves in `pidFile` becomes known under this key. */
  readonly key?: string;
  readonly pidFile?: string;
  readonly timeoutMs: number;
  /** Whom the command is run for. */
  readonly owner?: string;
}

export interface RunResult {
  readonly exitStatus: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** Of the process left behind; 0 if there is none. */
  readonly pid: number;
}

export interface ExitedProcess {
  readonly pid: number;
  readonly exit: Exit;
}

export interface MonitoredProcess {
  readonly key: string;
  readonly pid: number;
  /** Undefined while it runs. */
  readonly exit?: Exit;
}
