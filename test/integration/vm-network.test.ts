import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PodConfig } from "@kuasar/install/pod";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { execa } from "execa";
import { openChannels } from "./cri/channels.ts";
import { refusal } from "./cri/refusal.ts";
import { withPod } from "./cri/with-pod.ts";
import { useLab } from "./lab.ts";
import { ptpNamespace } from "./network-namespace.ts";
import { debuggable } from "./vm-case.ts";

const DATA = 0;
const FAILURE = 1;

describe("The network of a virtual machine", function () {
  this.timeout(240_000);
  const lab = useLab(debuggable);

  afterEach(() => lab().assertNothingLeft());

  it("is that of its namespace: a gateway out of the subnet, several interfaces, routes, neighbours, IPv6", async () => {
    const namespace = await ptpNamespace(1400);
    const { name, ip, path, gateway, address } = namespace;
    const onHost: string[] = [];
    try {
      // A macvlan, whose parent's other end is the host's.
      const [parent, end] = [`${name.slice(-6)}-a`, `${name.slice(-6)}-b`];
      await execa("ip", ["link", "add", parent, "mtu", "1300", "type", "veth", "peer", "name", end]);
      for (const each of [parent, end]) await execa("ip", ["link", "set", each, "mtu", "1300", "up"]);
      await execa("ip", ["address", "add", "10.77.0.1/24", "dev", end]);
      onHost.push(parent);
      const macvlan = ["type", "macvlan", "mode", "bridge"];
      await execa("ip", ["link", "add", "name", "eth1", "link", parent, "netns", name, ...macvlan]);
      await ip("link", "set", "eth1", "up");
      await ip("address", "add", "10.77.0.2/24", "dev", "eth1");
      await ip("address", "add", "10.79.0.2", "peer", "10.79.0.1", "dev", "eth1");
      await ip("route", "add", "10.78.0.0/16", "via", "10.77.0.1", "dev", "eth1", "metric", "50", "src", "10.77.0.2");
      await ip("route", "add", "10.80.0.0/16", "via", "10.81.0.1", "dev", "eth1", "onlink");
      await ip("route", "add", "10.90.0.0/16", "via", "10.77.0.1", "table", "100");
      await ip("neighbour", "add", "10.77.0.9", "lladdr", "02:00:00:00:00:09", "nud", "permanent", "dev", "eth1");
      const mac = (await ip("link", "show", "eth1")).match(/link\/ether (\S+)/)?.[1];
      const script = `ip address; echo; ip route; echo; ip -6 route; echo; ip neigh; echo; cat /etc/resolv.conf; echo
        ping -c 1 -W 20 ${gateway} && ping -c 1 -W 20 10.77.0.1 && ping -c 1 -W 20 fd77:1::1`;
      const resolvConf = join(lab().directory, "resolv.conf");
      writeFileSync(resolvConf, "nameserver 10.10.10.10\n");
      const mount = `type=bind,src=${resolvConf},dst=/etc/resolv.conf,options=rbind:ro`;
      const flags = ["--rm", "--with-ns", `network:${path}`, "--mount", mount];
      const { stdout } = await lab().containerd.ctr(lab().ctrRunArgs(flags, "networked", "sh", "-c", script));
      const [links = "", routes = "", routes6 = "", neighbours = "", dns] = stdout.split("\n\n");
      assert.equal(dns, "nameserver 10.10.10.10");
      assert.match(links, /eth0: .* mtu 1400/);
      assert.include(links, `inet ${address} `);
      assert.match(links, /inet6 fd77:1::\S+\/64/);
      assert.match(links, /eth1: .* mtu 1300/);
      assert.include(links, `link/ether ${mac} `);
      for (const added of ["10.77.0.2/24", "10.79.0.2/32"]) assert.include(links, `inet ${added} `);
      const lines = routes.split("\n").map((line) => line.trim().replaceAll(/ +/g, " "));
      for (const route of [
        `default via ${gateway} dev eth0`,
        `${gateway} dev eth0 scope link src ${address.split("/")[0]}`,
        "10.77.0.0/24 dev eth1 scope link src 10.77.0.2",
        "10.78.0.0/16 via 10.77.0.1 dev eth1 src 10.77.0.2 metric 50",
        "10.79.0.1 dev eth1 scope link src 10.79.0.2",
        "10.80.0.0/16 via 10.81.0.1 dev eth1 onlink",
      ]) {
        assert.isTrue(
          lines.some((line) => sameWords(line, route)),
          `${route}, of:\n${routes}`,
        );
      }
      // ptp takes the kernel's own route to the subnet away, and has it go by the gateway.
      assert.match(routes, new RegExp(`^\\S+/24 via ${gateway} dev eth0`, "m"));
      assert.notMatch(routes, /^\S+\/24 dev eth0/m);
      assert.match(routes6, /^default via fd77:1::1 dev eth0/m);
      assert.match(neighbours, /^10\.77\.0\.9 dev eth1 lladdr 02:00:00:00:00:09 .*PERMANENT/m);
      assert.lengthOf(stdout.match(/1 packets received/g) ?? [], 3, stdout);
      assert.include(
        readFileSync(lab().sandboxer.options.logFile, "utf8"),
        "route 10.90.0.0/16 via 10.77.0.1 dev eth1 table 100",
      );
    } finally {
      await namespace.remove();
      for (const link of onHost) await execa("ip", ["link", "delete", link]);
    }
  });

  it("has port-forward reach servers on the machine's own address, in both families, also after the sandboxer's death", () =>
    withPod(lab(), { network: "cni" }, async (pod) => {
      const script = `httpd -p 127.0.0.1:4000 -h /etc; httpd -p [::1]:4001 -h /etc; exec nc -ll -p 4002 -e cat`;
      const containerId = await pod.start({ command: ["sh", "-c", script] });
      const listening = async () =>
        (await pod.exec(containerId, "netstat", "-ltn")).stdout.match(/:400\d /g)?.length === 3;
      await waitUntil(listening, { what: "the servers in the machine", timeoutMs: 20_000 });
      const forward = async (port: number) => {
        const { url } = await lab().containerd.cri.runtime.portForward({ podSandboxId: pod.id, port: [port] });
        return openChannels(`${url}?port=${port}`);
      };
      const echo = async (port: number, text: string) => {
        const channels = await forward(port);
        channels.send(DATA, text);
        await channels.expect(DATA, new RegExp(`${text.slice(-20)}$`));
        channels.close();
      };
      const fetch = async (port: number) => {
        const channels = await forward(port);
        channels.send(DATA, "GET /passwd HTTP/1.0\r\n\r\n");
        await channels.expect(DATA, /root:x:0:0/);
        channels.close();
      };
      await fetch(4000);
      await fetch(4001);
      await echo(4002, "to and fro\n");
      await echo(4002, "x".repeat(2_000_000).concat("the end of much\n"));
      const nobody = await forward(4009);
      await nobody.expect(FAILURE, /connection reset/);
      nobody.close();
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      await waitUntil(() => fetch(4000).then(() => true), { what: "a page", timeoutMs: 20_000 });
    }));

  it("cannot be the host's, nor can its ipc", async () => {
    const error = await refusal(lab().runPod({ network: "host" }));
    assert.match(error, /a virtual machine cannot have the host's network \(hostNetwork\)/);
    const configure = ({ linux }: PodConfig) =>
      void Object.assign(linux.securityContext.namespaceOptions, { ipc: runtime.v1.NamespaceMode.NODE });
    assert.match(await refusal(lab().runPod({ network: "cni", configure })), /the host's ipc \(hostIPC\)/);
  });
});

/** `ip` of different versions has the same words in another order. */
function sameWords(one: string, other: string): boolean {
  const sorted = (text: string) => text.split(" ").sort().join(" ");
  return sorted(one.replace(/ proto \S+/, "")) === sorted(other);
}
