import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";

/** What CNI has made in the pod's network namespace, for the machine to have the same. */
export interface NetworkPlan {
  readonly interfaces: readonly GuestInterface[];
  readonly routes: readonly GuestRoute[];
  readonly neighbours: readonly GuestNeighbour[];
  /** What is there and a machine does not get, a phrase each. */
  readonly leftOut: readonly string[];
}

export interface GuestInterface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** "10.88.0.5/16" */
  readonly addresses: readonly string[];
}

export interface GuestRoute {
  /** "" is the default route. */
  readonly destination: string;
  /** "" for a route to the link itself. */
  readonly gateway: string;
  readonly interface: string;
  readonly metric: number;
  readonly ipv6: boolean;
  /** The address to send from; "" leaves it to the kernel. */
  readonly source: string;
  /** The gateway is on the link, whatever the addresses say. */
  readonly onlink: boolean;
}

export interface GuestNeighbour {
  readonly address: string;
  readonly mac: string;
  readonly interface: string;
}

/**
 * The questions, as `ip -json -details -batch` takes them, each answered with a line. Routes of all tables: those that are
 * not the main one's are told of.
 */
export const QUESTIONS = [
  "address show",
  "route show table all root 0.0.0.0/0",
  "route show table all root ::/0",
  "neighbour show nud permanent",
];

interface Link {
  readonly ifname: string;
  readonly link_type: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info: readonly Address[];
}

interface Address {
  readonly family: string;
  readonly local: string;
  /** The other end's, where the address has one. */
  readonly address?: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly dynamic?: boolean;
}

interface Route {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly via?: unknown;
  readonly nexthops?: unknown;
  readonly dev?: string;
  readonly table?: string;
  readonly protocol?: string;
  readonly metric?: number;
  readonly prefsrc?: string;
  readonly flags?: readonly string[];
}

interface Neighbour {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr?: string;
}

/** FAILED_PRECONDITION for an interface that no machine can stand behind. */
export function planNetwork(answers: string): NetworkPlan {
  const [links = [], routes4 = [], routes6 = [], neighbours = []] = answers
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as unknown[]) as [Link[]?, Route[]?, Route[]?, Neighbour[]?];
  const up = links.filter(({ flags }) => flags.includes("UP") && !flags.includes("LOOPBACK"));
  const carried = up.filter(({ link_type }) => link_type === "ether");
  for (const link of carried) requireEthernet(link);
  const leftOut = up
    .filter((link) => !carried.includes(link))
    .map((link) => `interface ${link.ifname} (${link.link_type})`);
  const known = new Set(carried.map(({ ifname }) => ifname));
  const routes: GuestRoute[] = [];
  for (const [list, ipv6] of [
    [routes4, false],
    [routes6, true],
  ] as const) {
    for (const route of list) {
      if (isTheGuestsOwn(route)) continue;
      const made = known.has(route.dev ?? "") && guestRoute(route, ipv6);
      if (made) routes.push(made);
      else leftOut.push(`route ${describe(route)}`);
    }
  }
  return {
    interfaces: carried.map(guestInterface),
    routes,
    neighbours: neighbours
      .filter(({ dev, lladdr }) => known.has(dev) && lladdr !== undefined)
      .map(({ dst, dev, lladdr = "" }) => ({ address: dst, mac: lladdr, interface: dev })),
    leftOut,
  };
}

/** Frames of the machine leave by it, and its answers come in by it, with the machine's own address. */
function requireEthernet({ ifname, flags, linkinfo }: Link): void {
  if (!/^[\w.:@-]{1,15}$/.test(ifname)) {
    throw failedPrecondition(`interface ${JSON.stringify(ifname)}: expected letters, digits and . : @ _ - in its name`);
  }
  if (flags.includes("NOARP")) {
    const kind = linkinfo?.info_kind ?? "ethernet";
    throw failedPrecondition(
      `interface ${ifname} is a ${kind} that answers no ARP (ipvlan in mode l3, say): a virtual machine cannot be behind it`,
    );
  }
}

function guestInterface({ ifname, address, mtu, addr_info }: Link): GuestInterface {
  return {
    name: ifname,
    mac: address,
    mtu,
    addresses: addr_info.filter(isCarried).map(({ local, address: peer, prefixlen }) =>
      // The prefix of an address with an other end is that one's, and has a route of its own.
      peer === undefined ? `${local}/${prefixlen}` : `${local}/${local.includes(":") ? 128 : 32}`,
    ),
  };
}

/** The guest makes its own link-local IPv6 address, of the same MAC, and of what routers say the same as the host has. */
function isCarried({ family, scope, dynamic }: Address): boolean {
  return scope === "global" ? !(family === "inet6" && dynamic) : family === "inet" && scope === "link";
}

/** What the guest's kernel has without being told: of its loopback, its addresses, its routers. */
function isTheGuestsOwn({ table, type, dev, protocol, dst }: Route): boolean {
  return (
    table === "local" ||
    type === "multicast" ||
    dev === "lo" ||
    protocol === "ra" ||
    (protocol === "kernel" && dst === "fe80::/64")
  );
}

function guestRoute(route: Route, ipv6: boolean): GuestRoute | undefined {
  const { type = "unicast", table = "main", dst, gateway, dev = "", metric, prefsrc, flags = [] } = route;
  if (type !== "unicast" || table !== "main" || route.nexthops !== undefined || route.via !== undefined)
    return undefined;
  return {
    destination: dst === "default" ? "" : dst,
    gateway: gateway ?? "",
    interface: dev,
    metric: metric ?? 0,
    ipv6,
    source: prefsrc ?? "",
    onlink: flags.includes("onlink"),
  };
}

function describe({ type = "unicast", dst, gateway, dev, table = "main", nexthops, via }: Route): string {
  const words = [
    ...(type === "unicast" ? [] : [type]),
    dst,
    ...(gateway === undefined ? [] : ["via", gateway]),
    ...(via === undefined ? [] : ["via another family"]),
    ...(nexthops === undefined ? [] : ["by several hops"]),
    ...(dev === undefined ? [] : ["dev", dev]),
    ...(table === "main" ? [] : ["table", table]),
  ];
  return words.join(" ");
}
