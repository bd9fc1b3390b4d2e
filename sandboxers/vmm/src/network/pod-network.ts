import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import { findProgram } from "@kuasar/framework/proc/find-program";
import type { TapInterface } from "../hypervisor/hypervisor.ts";

/** What CNI has made in the pod's network namespace, for the machine to have the same. */
export interface PodNetwork {
  readonly taps: readonly TapInterface[];
  readonly interfaces: readonly GuestInterface[];
  readonly routes: readonly GuestRoute[];
}

export interface GuestInterface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly string[];
}

export interface GuestRoute {
  readonly destination: string;
  readonly gateway: string;
  readonly interface: string;
  readonly metric: number;
  readonly ipv6: boolean;
}

export const NO_NETWORK: PodNetwork = { taps: [], interfaces: [], routes: [] };

const TIMEOUT_MS = 10_000;
const TAP = "kuasar-tap";

/**
 * Gives each of the namespace's interfaces a tap device, and sends whatever comes in at one out of the other: the machine
 * behind the tap then is what the interface was, with its addresses. They go with the namespace.
 */
export async function joinPodNetwork(monitor: Monitor, netns: string): Promise<PodNetwork> {
  const network = inNamespace(monitor, netns);
  const [links, routes4, routes6] = await Promise.all([
    network.json<Link[]>("ip", ["-json", "address", "show"]),
    network.json<Route[]>("ip", ["-json", "-4", "route", "show"]),
    network.json<Route[]>("ip", ["-json", "-6", "route", "show"]),
  ]);
  const carriers = links.filter(({ link_type, flags }) => link_type === "ether" && flags.includes("UP"));
  const taps = carriers.map(({ address }, i) => ({ tap: `${TAP}${i}`, mac: address }));
  for (const [i, { ifname, mtu }] of carriers.entries()) await bridge(network, ifname, `${TAP}${i}`, mtu);
  const known = new Set(carriers.map(({ ifname }) => ifname));
  return {
    taps,
    interfaces: carriers.map(({ ifname, address, mtu, addr_info }) => ({
      name: ifname,
      mac: address,
      mtu,
      addresses: addr_info
        .filter(({ scope }) => scope === "global")
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    })),
    routes: [
      ...routes4.map((route) => guestRoute(route, false)),
      ...routes6.map((route) => guestRoute(route, true)),
    ].filter((route) => known.has(route.interface)),
  };
}

interface Link {
  readonly ifname: string;
  readonly link_type: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addr_info: ReadonlyArray<{ readonly local: string; readonly prefixlen: number; readonly scope: string }>;
}

interface Route {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly metric?: number;
  readonly protocol?: string;
}

/** The kernel makes its own routes (to a link's own prefix, fe80::/64) again in the guest. */
const guestRoute = ({ dst, gateway, dev, metric, protocol }: Route, ipv6: boolean): GuestRoute => ({
  destination: dst === "default" ? "" : dst,
  gateway: gateway ?? "",
  interface: protocol === "kernel" ? "" : dev,
  metric: metric ?? 0,
  ipv6,
});

interface NamespaceTools {
  run(program: string, args: readonly string[]): Promise<string>;
  json<T>(program: string, args: readonly string[]): Promise<T>;
}

async function bridge(network: NamespaceTools, name: string, tap: string, mtu: number): Promise<void> {
  await network.run("ip", ["tuntap", "add", "dev", tap, "mode", "tap"]);
  await network.run("ip", ["link", "set", "dev", tap, "mtu", String(mtu), "up"]);
  for (const [from, to] of [
    [name, tap],
    [tap, name],
  ] as const) {
    await network.run("tc", ["qdisc", "add", "dev", from, "ingress"]);
    // The classifier that every kernel has; it takes each packet, whatever its protocol.
    const match = ["protocol", "all", "prio", "1", "u32", "match", "u8", "0", "0"];
    await network.run("tc", [
      "filter",
      "add",
      "dev",
      from,
      "parent",
      "ffff:",
      ...match,
      "action",
      "mirred",
      "egress",
      "redirect",
      "dev",
      to,
    ]);
  }
}

function inNamespace(monitor: Monitor, netns: string): NamespaceTools {
  const nsenter = requireProgram("nsenter");
  const run = async (name: string, args: readonly string[]) => {
    const argv = [nsenter, `--net=${netns}`, requireProgram(name), ...args];
    const { exitStatus, stdout, stderr } = await monitor.run({ argv, env: [], cwd: "/", timeoutMs: TIMEOUT_MS });
    if (exitStatus !== 0) {
      throw failedPrecondition(`${name} ${args.join(" ")} in ${netns}: ${Buffer.from(stderr).toString().trim()}`);
    }
    return Buffer.from(stdout).toString();
  };
  return { run, json: async (name, args) => JSON.parse((await run(name, args)) || "[]") };
}

function requireProgram(name: string): string {
  const found = findProgram(name);
  if (found === undefined)
    throw failedPrecondition(`${name} is not an executable file in $PATH: a machine's network needs it`);
  return found;
}
