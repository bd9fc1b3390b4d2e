import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition, unavailable } from "@kuasar/framework/error/sandbox-error";
import type { Monitor, Namespace } from "@kuasar/framework/monitor/monitor";
import type { VmmConfig } from "../config.ts";
import { type ConfigureRequest, connectGuest, type Guest } from "../guest/guest.ts";
import type { AgentAddress, Hypervisor } from "../hypervisor/hypervisor.ts";
import { joinPodNetwork, NO_NETWORK } from "../network/pod-network.ts";
import { startVirtiofsd } from "../share/virtiofsd.ts";
import type { Size } from "../size/pod-size.ts";
import { GUEST_SHARE, SHARE_TAG } from "../task/guest-spec.ts";
import { requireFile } from "./guest-image.ts";

export const HYPERVISOR_KEY = "hypervisor";
const CONSOLE_LINES = 12;
const SHM_BYTES = 64 * 1024 * 1024;

/** What a pod's machine is to be. */
export interface MachineRequest {
  readonly name: string;
  readonly directory: string;
  /** The folder of the host that it sees. */
  readonly share: string;
  /** "" for a machine without a network. */
  readonly netns: string;
  readonly hostname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly cgroupProcs: readonly string[];
  readonly size: Size;
}

export interface StartedMachine {
  /** Of the hypervisor, in the host's pid namespace. */
  readonly pid: number;
  readonly agent: AgentAddress;
  readonly console: string;
  readonly channel: string;
  readonly guest: Guest;
  /** As the guest says, one printable line. */
  readonly kernel: string;
  /** What of the pod's network the machine does not get. */
  readonly leftOut: readonly string[];
}

/** Boots a machine and makes it the pod's. `started` is told of the process before anybody waits for the guest. */
export async function startMachine(
  monitor: Monitor,
  hypervisor: Hypervisor,
  config: VmmConfig,
  request: MachineRequest,
  started: (machine: Omit<StartedMachine, "guest" | "kernel" | "leftOut">) => void,
): Promise<StartedMachine> {
  const { directory, share, netns, cgroupProcs } = request;
  hypervisor.capabilities();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const socket = join(directory, "share.sock");
  const [network] = await Promise.all([
    netns === "" ? NO_NETWORK : joinPodNetwork(monitor, netns, directory),
    startVirtiofsd(monitor, {
      program: config.virtiofs_daemon_path,
      cache: config.virtiofs_cache,
      extraArguments: config.virtiofs_extra_args,
      socket,
      folder: share,
      log: join(directory, "virtiofsd.log"),
      cgroupProcs,
    }),
  ]);
  const launch = hypervisor.launch({
    name: request.name,
    directory,
    kernel: requireFile(config.kernel_path, "kernel_path"),
    initrd: requireFile(config.initrd_path, "initrd_path"),
    kernelParameters: config.kernel_params.split(" ").filter((word) => word !== ""),
    ...request.size,
    interfaces: network.taps,
    shares: [{ tag: SHARE_TAG, socket }],
  });
  const log = join(directory, "hypervisor.log");
  const namespaces: Namespace[] = netns === "" ? [] : [{ type: "network", path: netns }];
  const pid = await monitor.spawn({
    key: HYPERVISOR_KEY,
    argv: launch.argv,
    env: [],
    cwd: "/",
    stdio: { stdin: "", stdout: log, stderr: log, terminal: false, consoleSocket: "", uid: 0, gid: 0 },
    namespaces,
    uidMappings: [],
    gidMappings: [],
    cgroupProcs,
    hostname: "",
    domainname: "",
    sysctls: {},
    emptyRoot: false,
    parentDeathSignal: 9,
  });
  const { agent, console, channel } = launch;
  started({ pid, agent, console, channel });
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
    const { kernel } = await whileItRuns(monitor, guest.configure(setUp, config.boot_timeout_in_ms));
    return { pid, agent, console, channel, guest, kernel: printable(kernel), leftOut: network.leftOut };
  } catch (error) {
    guest.close();
    throw failedPrecondition(
      `the machine did not come up: ${(error as Error).message}${await postMortem([log, launch.console])}`,
    );
  }
}

/** A hypervisor that ends at once need not be waited for. */
async function whileItRuns<T>(monitor: Monitor, work: Promise<T>): Promise<T> {
  const ended = monitor.wait(HYPERVISOR_KEY).then(({ exit }) => {
    throw unavailable(`the hypervisor has ended with status ${exit.status}`);
  });
  ended.catch(() => {});
  return await Promise.race([work, ended]);
}

/** The last lines of what the hypervisor and the guest's console said. */
export async function postMortem(logs: readonly string[]): Promise<string> {
  const texts = await Promise.all(logs.map((path) => readFile(path, "utf8").catch(() => "")));
  const lines = texts.flatMap((text) =>
    text
      .trim()
      .split("\n")
      .filter((line) => line.trim() !== "")
      .slice(-CONSOLE_LINES),
  );
  return lines.length === 0 ? "" : `; it said last:\n${lines.map(printable).join("\n")}`;
}

/** The console is the guest's to write to. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is taken out.
const printable = (line: string) => line.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "").slice(0, 300);
