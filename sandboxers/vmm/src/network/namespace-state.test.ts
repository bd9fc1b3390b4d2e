import { ErrorCode } from "@kuasar/framework/error/sandbox-error";
import { expect } from "chai";
import { planNetwork } from "./namespace-state.ts";

const UP = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
const link = (ifname: string, change: object = {}) => ({
  ...{ ifname, flags: UP, mtu: 1500, link_type: "ether", address: "02:00:00:00:00:01", addr_info: [] },
  ...change,
});
const loopback = link("lo", { link_type: "loopback", flags: ["LOOPBACK", "UP"] });

/** As `ip -json -details` of iproute2 6.1 answers. */
function plan(links: object[], routes4: object[] = [], routes6: object[] = [], neighbours: object[] = []) {
  return planNetwork(
    [[loopback, ...links], routes4, routes6, neighbours].map((answer) => JSON.stringify(answer)).join("\n"),
  );
}

describe("the network of a pod's namespace, for its machine", () => {
  it("is each interface that is up, with the addresses that somebody has given it", () => {
    const addr_info = [
      { family: "inet", local: "10.1.1.2", prefixlen: 24, scope: "global" },
      { family: "inet", local: "10.9.0.2", address: "10.9.0.1", prefixlen: 32, scope: "global" },
      { family: "inet6", local: "fd00::2", prefixlen: 64, scope: "global" },
      { family: "inet6", local: "fd00::77", prefixlen: 64, scope: "global", dynamic: true },
      { family: "inet6", local: "fe80::1", prefixlen: 64, scope: "link" },
    ];
    const { interfaces } = plan([link("eth0", { mtu: 1400, addr_info }), link("eth1", { flags: ["BROADCAST"] })]);
    expect(interfaces).to.deep.equal([
      { name: "eth0", mac: "02:00:00:00:00:01", mtu: 1400, addresses: ["10.1.1.2/24", "10.9.0.2/32", "fd00::2/64"] },
    ]);
  });

  it("is the routes of its interfaces: those that the guest's kernel has by itself are not among them", () => {
    const { routes, leftOut } = plan(
      [link("eth0")],
      [
        { type: "unicast", dst: "default", gateway: "169.254.1.1", dev: "eth0", table: "main", flags: ["onlink"] },
        { type: "unicast", dst: "10.1.0.0/16", dev: "eth0", table: "main", protocol: "kernel", prefsrc: "10.1.1.2" },
        { type: "local", dst: "10.1.1.2", dev: "eth0", table: "local", protocol: "kernel" },
      ],
      [
        { type: "unicast", dst: "default", gateway: "fe80::1", dev: "eth0", table: "main", metric: 1024, flags: [] },
        { type: "unicast", dst: "default", gateway: "fe80::2", dev: "eth0", table: "main", protocol: "ra" },
        { type: "unicast", dst: "fe80::/64", dev: "eth0", table: "main", protocol: "kernel", metric: 256 },
        { type: "multicast", dst: "ff00::/8", dev: "eth0", table: "local", protocol: "kernel" },
      ],
    );
    const route = {
      destination: "",
      gateway: "",
      interface: "eth0",
      metric: 0,
      ipv6: false,
      source: "",
      onlink: false,
    };
    expect(routes).to.deep.equal([
      { ...route, gateway: "169.254.1.1", onlink: true },
      { ...route, destination: "10.1.0.0/16", source: "10.1.1.2" },
      { ...route, gateway: "fe80::1", metric: 1024, ipv6: true },
    ]);
    expect(leftOut).to.deep.equal([]);
  });

  it("tells of what a machine does not get", () => {
    const { leftOut } = plan(
      [link("eth0"), link("tun0", { link_type: "none" })],
      [
        { type: "unicast", dst: "10.2.0.0/16", gateway: "10.1.0.1", dev: "eth0", table: "100" },
        { type: "blackhole", dst: "10.3.0.0/16", table: "main" },
        { type: "unicast", dst: "10.4.0.0/16", dev: "tun0", table: "main" },
        { type: "unicast", dst: "10.5.0.0/16", table: "main", nexthops: [{}, {}] },
        { type: "unicast", dst: "10.6.0.0/16", table: "main", dev: "eth0", via: { family: "inet6", host: "fe80::1" } },
      ],
    );
    expect(leftOut).to.deep.equal([
      "interface tun0 (none)",
      "route 10.2.0.0/16 via 10.1.0.1 dev eth0 table 100",
      "route blackhole 10.3.0.0/16",
      "route 10.4.0.0/16 dev tun0",
      "route 10.5.0.0/16 by several hops",
      "route 10.6.0.0/16 via another family dev eth0",
    ]);
  });

  it("is not that of an interface that answers no ARP, or whose name is none for a command's line", () => {
    for (const wrong of [
      link("eth0", { flags: [...UP, "NOARP"], linkinfo: { info_kind: "ipvlan" } }),
      link('e"0', {}),
    ]) {
      expect(() => plan([wrong]))
        .to.throw()
        .with.property("code", ErrorCode.FAILED_PRECONDITION);
    }
  });
});
