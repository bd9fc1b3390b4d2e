import { mkdirSync } from "node:fs";
import { ErrorCode, SandboxError } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import type { VmmConfig } from "../config.ts";
import { type ConfigureRequest, connectGuest, type Guest } from "../guest/guest.ts";
import type { AgentAddress, Hypervisor } from "../hypervisor/hypervisor.ts";
import { joinPodNetwork, NO_NETWORK } from "../network/pod-network.ts";
import { startVirtiofsd } from "../share/virtiofsd.ts";
import type { Size } from "../size/pod-size.ts";
import { GUEST_SHARE, SHARE_TAG } from "../task/guest-spec.ts";
import { awaitBoot, type BootLimits, notWanted } from "./await-boot.ts";
import { HYPERVISOR_NAMESPACES, hypervisorRights } from "./few-rights.ts";
import { requireFile } from "./guest-image.ts";
import { printableLines, tail } from "./last-lines.ts";
import { HYPERVISOR_KEY } from "./machine-end.ts";
import { shareSocket } from "./machine-folder.ts";
import { machineRoot, openDoor } from "./machine-root.ts";
import { consoleLog, hypervisorLog, KEPT_BYTES, virtiofsdLog } from "./post-mortem.ts";

const SHM_BYTES = 64 * 1024 * 1024;
const LATE_MS = 1_000;

/** What a pod's machine is to be. */
export interface MachineRequest {
  readonly name: string;
  /** For its logs, and the sockets of those who serve it. */
  readonly directory: string;
  /** The hypervisor's, in that. */
  readonly own: string;
  /** The folder of the host that it sees. */
  readonly share: string;
  /** "" for a machine without a network. */
  readonly netns: string;
  readonly hostname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly cgroupProcs: readonly string[];
  readonly size: Size;
  readonly largest: Size;
}

export interface StartedMachine {
  /** Of the hypervisor, in the host's pid namespace. */
  readonly pid: number;
  readonly agent: AgentAddress;
  readonly channel: string;
  readonly guest: Guest;
  /** As the guest says, one printable line. */
  readonly kernel: string;
  /** What of the pod's network the machine does not get. */
  readonly leftOut: readonly string[];
  /** Of the machine's memory, what its kernel has not kept for itself. As the guest says. */
  readonly memoryBytes: number;
}

/**
 * Boots a machine and makes it the pod's. `started` is told of the process before anybody waits for the guest. What it
 * leaves when it fails is the caller's to undo. ABORTED where another attempt may do.
 */
export async function startMachine(
  monitor: Monitor,
  hypervisor: Hypervisor,
  config: VmmConfig,
  request: MachineRequest,
  limits: BootLimits,
  started: (machine: Pick<StartedMachine, "pid" | "agent" | "channel">) => void,
): Promise<StartedMachine> {
  const { directory, own, share, netns, cgroupProcs } = request;
  hypervisor.capabilities();
  mkdirSync(own, { recursive: true, mode: 0o700 });
  await openDoor(monitor, directory);
  const socket = shareSocket(directory);
  const [network] = await both(
    netns === "" ? Promise.resolve(NO_NETWORK) : joinPodNetwork(monitor, netns, directory),
    startVirtiofsd(monitor, {
      program: config.virtiofs_daemon_path,
      cache: config.virtiofs_cache,
      extraArguments: config.virtiofs_extra_args,
      socket,
      folder: share,
      log: virtiofsdLog(directory),
      keptBytes: KEPT_BYTES,
      cgroupProcs,
    }),
  );
  if (limits.signal.aborted) throw notWanted();
  const launch = hypervisor.launch({
    name: request.name,
    directory: own,
    kernel: requireFile(config.kernel_path, "kernel_path"),
    initrd: requireFile(config.initrd_path, "initrd_path"),
    kernelParameters: config.kernel_params.split(" ").filter((word) => word !== ""),
    ...request.size,
    largest: request.largest,
    interfaces: network.taps,
    shares: [{ tag: SHARE_TAG, socket }],
  });
  const namespaces = [...HYPERVISOR_NAMESPACES, ...(netns === "" ? [] : [{ type: "network", path: netns } as const])];
  const pid = await monitor.spawn({
    key: HYPERVISOR_KEY,
    argv: launch.argv,
    env: [],
    cwd: "/",
    stdio: {
      stdin: "",
      stdout: consoleLog(directory),
      stderr: hypervisorLog(directory),
      keptBytes: KEPT_BYTES,
      terminal: false,
      consoleSocket: "",
      uid: 0,
      gid: 0,
    },
    namespaces,
    uidMappings: [],
    gidMappings: [],
    cgroupProcs,
    hostname: "",
    domainname: "",
    sysctls: {},
    credentials: hypervisorRights(!config.enable_swap),
    emptyRoot: false,
    root: machineRoot(directory, own, launch.files),
    parentDeathSignal: 9,
  });
  const { agent, channel, vsock } = launch;
  if (vsock) await monitor.serveVsock(HYPERVISOR_KEY, agent.path, vsock.cid);
  started({ pid, agent, channel });
  const guest = connectGuest(launch.agent);
  const setUp: ConfigureRequest = {
    hostname: request.hostname,
    sysctls: request.sysctls,
    interfaces: [...network.interfaces].map((one) => ({ ...one, addresses: [...one.addresses] })),
    routes: [...network.routes],
    neighbours: [...network.neighbours],
    shares: [{ tag: SHARE_TAG, path: GUEST_SHARE, type: "virtiofs", options: [] }],
    shmBytes: SHM_BYTES,
  };
  try {
    // Longer than it is waited for: then it is told that the machine is late, and what was last heard of it.
    const ready = guest.configure(setUp, limits.timeoutMs + LATE_MS);
    const booted = await awaitBoot(monitor, ready, limits, directory);
    const kernel = printableLines(booted.kernel)[0] ?? "";
    return { pid, agent, channel, guest, kernel, memoryBytes: booted.memoryBytes, leftOut: network.leftOut };
  } catch (error) {
    guest.close();
    if (vsock && (await tail(hypervisorLog(directory))).includes(vsock.takenText)) {
      throw new SandboxError(ErrorCode.ABORTED, `the vsock context id ${vsock.cid} is another machine's`);
    }
    throw error;
  }
}

/** Both, or the first's error once both have come to an end: what is half made can be undone then. */
async function both<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}
