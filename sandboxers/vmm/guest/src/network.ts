import { type IpPrefix, parseIpPrefix } from "./ip-address.ts";
import { ACK, CREATE, EXCLUSIVE, NetlinkRequest } from "./netlink.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_NEWNEIGH = 28;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 2;
const IFA_F_NOPREFIXROUTE = 0x200;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTNH_F_ONLINK = 4;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_PERMANENT = 0x80;
const IFF_UP = 1;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;
const HEADER_BYTES = 16;
const LINK_HEADER_BYTES = 16;

const LOOPBACK = 1;
/** More than a machine has: links have small numbers, in the order they came. */
const MOST_LINKS = 64;

interface Interface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly string[];
}

interface Route {
  readonly destination: string;
  readonly gateway: string;
  readonly interface: string;
  readonly metric: number;
  readonly ipv6: boolean;
  readonly source: string;
  readonly onlink: boolean;
}

interface Neighbour {
  readonly address: string;
  readonly mac: string;
  readonly interface: string;
}

export interface NetworkSetUp {
  readonly interfaces: readonly Interface[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
}

/** Makes the machine's network cards what the pod's interfaces are on the host: same names, addresses and routes. */
export function configureNetwork({ interfaces, routes, neighbours }: NetworkSetUp): void {
  changeLink(LOOPBACK, (request) => request);
  const links = interfaces.length > 0 ? linksByMac() : new Map<string, number>();
  const indexes = new Map<string, number>();
  for (const { name, mac, mtu, addresses } of interfaces) {
    const index = links.get(mac.toLowerCase());
    if (index === undefined) throw new Error(`interface ${name}: there is no network card with the address ${mac}`);
    indexes.set(name, index);
    // A link that is up cannot be renamed; its mtu must fit before addresses come.
    changeLink(index, (request) => {
      request.attribute(IFLA_IFNAME, [...text(name), 0]);
      return mtu > 0 ? request.attribute32(IFLA_MTU, mtu) : request;
    });
    for (const address of addresses) addAddress(index, parseIpPrefix(address));
  }
  const indexOf = (name: string) => {
    const index = indexes.get(name);
    if (index === undefined) throw new Error(`expected one of the interfaces, got ${name}`);
    return index;
  };
  for (const { address, mac, interface: name } of neighbours) addNeighbour(parseIpPrefix(address), mac, indexOf(name));
  // Those to a link first: a gateway must be reachable when its route comes.
  for (const route of [...routes].sort((a, b) => Number(a.gateway !== "") - Number(b.gateway !== ""))) {
    try {
      addRoute(route, indexOf(route.interface));
    } catch (error) {
      const { destination, gateway, interface: name } = route;
      const way = gateway === "" ? "" : ` via ${gateway}`;
      throw new Error(`route ${destination || "default"}${way} dev ${name}: ${(error as Error).message}`);
    }
  }
}

const text = (value: string) => Array.from(value, (character) => character.charCodeAt(0));
const familyOf = ({ bytes }: IpPrefix) => (bytes.length === 4 ? 2 : 10);

/** Sets it up, and what `change` adds to the request. */
function changeLink(index: number, change: (request: NetlinkRequest) => NetlinkRequest): void {
  // struct ifinfomsg
  const request = new NetlinkRequest(RTM_NEWLINK, ACK).u8(0).u8(0).u16(0).u32(index).u32(IFF_UP).u32(IFF_UP);
  change(request).send();
}

function addAddress(index: number, prefix: IpPrefix): void {
  // struct ifaddrmsg. The address has been the host's already: nobody else can have it. Which of its neighbours it reaches
  // without a gateway the routes say.
  const flags = (prefix.bytes.length === 16 ? IFA_F_NODAD : 0) | IFA_F_NOPREFIXROUTE;
  new NetlinkRequest(RTM_NEWADDR, ACK | CREATE | EXCLUSIVE)
    .u8(familyOf(prefix))
    .u8(prefix.length)
    .u8(0)
    .u8(RT_SCOPE_UNIVERSE)
    .u32(index)
    .attribute(IFA_LOCAL, prefix.bytes)
    .attribute(IFA_ADDRESS, prefix.bytes)
    .attribute32(IFA_FLAGS, flags)
    .send();
}

function addNeighbour(address: IpPrefix, mac: string, index: number): void {
  // struct ndmsg
  new NetlinkRequest(RTM_NEWNEIGH, ACK | CREATE)
    .u8(familyOf(address))
    .u8(0)
    .u16(0)
    .u32(index)
    .u16(NUD_PERMANENT)
    .u8(0)
    .u8(0)
    .attribute(NDA_DST, address.bytes)
    .attribute(
      NDA_LLADDR,
      mac.split(":").map((byte) => Number.parseInt(byte, 16)),
    )
    .send();
}

function addRoute(route: Route, index: number): void {
  const destination = route.destination === "" ? undefined : parseIpPrefix(route.destination);
  const gateway = route.gateway === "" ? undefined : parseIpPrefix(route.gateway);
  const family = destination ?? gateway;
  // struct rtmsg
  const request = new NetlinkRequest(RTM_NEWROUTE, ACK | CREATE)
    .u8(family ? familyOf(family) : route.ipv6 ? 10 : 2)
    .u8(destination?.length ?? 0)
    .u8(0)
    .u8(0)
    .u8(RT_TABLE_MAIN)
    .u8(RTPROT_STATIC)
    .u8(gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK)
    .u8(RTN_UNICAST)
    .u32(route.onlink ? RTNH_F_ONLINK : 0)
    .attribute32(RTA_OIF, index);
  if (destination) request.attribute(RTA_DST, destination.bytes);
  if (gateway) request.attribute(RTA_GATEWAY, gateway.bytes);
  if (route.metric > 0) request.attribute32(RTA_PRIORITY, route.metric);
  if (route.source !== "") request.attribute(RTA_PREFSRC, parseIpPrefix(route.source).bytes);
  request.send();
}

function linksByMac(): Map<string, number> {
  const links = new Map<string, number>();
  for (let index = LOOPBACK + 1; index < MOST_LINKS; index++) {
    const mac = macOf(index);
    if (mac) links.set(mac, index);
  }
  return links;
}

/** undefined where there is no link of that number. */
function macOf(index: number): string | undefined {
  let answer: DataView;
  try {
    answer = new NetlinkRequest(RTM_GETLINK, 0).u8(0).u8(0).u16(0).u32(index).u32(0).u32(0).send();
  } catch (error) {
    if ((error as { code?: string }).code === "ENODEV") return undefined;
    throw error;
  }
  for (let at = HEADER_BYTES + LINK_HEADER_BYTES; at + 4 <= answer.byteLength; ) {
    const length = answer.getUint16(at, true);
    if (answer.getUint16(at + 2, true) === IFLA_ADDRESS) {
      const bytes = Array.from({ length: length - 4 }, (_, i) => answer.getUint8(at + 4 + i));
      return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    }
    if (length < 4) break;
    at += (length + 3) & ~3;
  }
  return undefined;
}
