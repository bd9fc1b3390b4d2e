import { existsSync, readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { stringify, type TomlTable } from "smol-toml";

/** One entry of containerd's CRI runtimes table, as its config.toml (version 2) names the keys. */
export interface RuntimeEntry {
  readonly runtime_type: string;
  readonly sandbox_mode?: "podsandbox" | "shim";
  readonly options?: TomlTable;
  readonly container_annotations?: string[];
  readonly pod_annotations?: string[];
}

export interface ContainerdLayout {
  readonly directory: string;
  readonly root: string;
  readonly state: string;
  /** The socket containerd's gRPC services and the CRI answer on. */
  readonly socket: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly cniConfDir: string;
  readonly cniDataDir: string;
}

/** Where a private containerd keeps what, all below one folder. */
export function containerdLayout(directory: string): ContainerdLayout {
  return {
    directory,
    root: join(directory, "root"),
    state: join(directory, "state"),
    socket: join(directory, "containerd.sock"),
    configFile: join(directory, "config.toml"),
    logFile: join(directory, "containerd.log"),
    cniConfDir: join(directory, "cni"),
    cniDataDir: join(directory, "cni-data"),
  };
}

export interface ContainerdConfig {
  readonly layout: ContainerdLayout;
  readonly cniBinDir: string;
  readonly sandboxImage: string;
  readonly runtimes: Readonly<Record<string, RuntimeEntry>>;
  readonly debug: boolean;
}

const criPlugin = "io.containerd.grpc.v1.cri";

/** containerd's config.toml, version 2, in which nothing points outside the layout's folder. */
export function containerdToml(config: ContainerdConfig): string {
  const { layout } = config;
  const runtimes: TomlTable = {};
  for (const [name, entry] of Object.entries(config.runtimes)) runtimes[name] = { ...entry };
  return stringify({
    version: 2,
    root: layout.root,
    state: layout.state,
    disabled_plugins: [
      "io.containerd.snapshotter.v1.aufs",
      "io.containerd.snapshotter.v1.btrfs",
      "io.containerd.snapshotter.v1.devmapper",
      "io.containerd.snapshotter.v1.zfs",
      "io.containerd.tracing.processor.v1.otlp",
    ],
    // Lowering the score of containerd itself needs a capability that a container may lack.
    oom_score: 0,
    grpc: { address: layout.socket },
    ttrpc: { address: `${layout.socket}.ttrpc` },
    debug: { level: config.debug ? "debug" : "info" },
    plugins: {
      "io.containerd.internal.v1.opt": { path: join(layout.directory, "opt") },
      [criPlugin]: {
        sandbox_image: config.sandboxImage,
        restrict_oom_score_adj: !hasCapability(capSysResource),
        disable_apparmor: !existsSync("/sys/module/apparmor"),
        netns_mounts_under_state_dir: true,
        stream_server_address: "127.0.0.1",
        stream_server_port: "0",
        cni: { bin_dir: config.cniBinDir, conf_dir: layout.cniConfDir },
        containerd: {
          default_runtime_name: Object.keys(config.runtimes)[0] ?? "runc",
          snapshotter: snapshotterFor(layout.directory),
          runtimes,
        },
      },
    },
  });
}

/** The CNI network of a private containerd: a bridge and an address range of its own. */
export interface CniNetwork {
  readonly bridge: string;
  readonly subnet: string;
}

export function cniConfigList(network: CniNetwork, dataDir: string): string {
  return JSON.stringify({
    cniVersion: "0.4.0",
    name: network.bridge,
    plugins: [
      {
        type: "bridge",
        bridge: network.bridge,
        isGateway: true,
        ipMasq: true,
        ipam: {
          type: "host-local",
          dataDir,
          ranges: [[{ subnet: network.subnet }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  });
}

const capSysResource = 24n;

function hasCapability(bit: bigint): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return mask !== undefined && ((BigInt(`0x${mask}`) >> bit) & 1n) === 1n;
}

const overlayfsMagic = 0x794c7630;

/** An overlay's upper folder cannot lie on another overlay, which is what a container's root usually is. */
export function snapshotterFor(directory: string): "overlayfs" | "native" {
  return statfsSync(directory).type === overlayfsMagic ? "native" : "overlayfs";
}

/** sockaddr_un: 108 bytes with the closing zero. */
const socketPathLimit = 107;

/** @throws when the sockets of a containerd in this folder could not be bound. */
export function checkSocketPaths(layout: ContainerdLayout): void {
  const longest = `${layout.socket}.ttrpc`;
  if (Buffer.byteLength(longest) > socketPathLimit) {
    const excess = Buffer.byteLength(longest) - socketPathLimit;
    throw new Error(
      `${layout.directory}: expected a path whose sockets stay within ${socketPathLimit} bytes, it is ${excess} too long`,
    );
  }
}
