import { type IpPrefix, parseIpPrefix } from "./ip-address.ts";
import { ACK, CREATE, EXCLUSIVE, NetlinkRequest } from "./netlink.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_NODAD = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
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
}

/** Makes the machine's network cards what the pod's interfaces are on the host: same names, addresses and routes. */
export function configureNetwork(interfaces: readonly Interface[], routes: readonly Route[]): void {
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
  // Those to a link first: a gateway must be reachable when its route comes.
  for (const route of [...routes].sort((a, b) => Number(a.gateway !== "") - Number(b.gateway !== ""))) {
    addRoute(route, indexes.get(route.interface));
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
  // struct ifaddrmsg. The address has been the host's already: nobody else can have it.
  const flags = prefix.bytes.length === 16 ? IFA_F_NODAD : 0;
  new NetlinkRequest(RTM_NEWADDR, ACK | CREATE | EXCLUSIVE)
    .u8(familyOf(prefix))
    .u8(prefix.length)
    .u8(flags)
    .u8(RT_SCOPE_UNIVERSE)
    .u32(index)
    .attribute(IFA_LOCAL, prefix.bytes)
    .attribute(IFA_ADDRESS, prefix.bytes)
    .send();
}

function addRoute(route: Route, index: number | undefined): void {
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
    .u32(0);
  if (destination) request.attribute(RTA_DST, destination.bytes);
  if (gateway) request.attribute(RTA_GATEWAY, gateway.bytes);
  if (index !== undefined) request.attribute32(RTA_OIF, index);
  if (route.metric > 0) request.attribute32(RTA_PRIORITY, route.metric);
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
