import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labParts } from "@kuasar/install/parts";
import { freeSubnet } from "@kuasar/install/subnet";
import { execa } from "execa";

/** A network namespace that a CNI plugin has joined to the host's, and that more can be done to. */
export interface NetworkNamespace {
  readonly path: string;
  readonly name: string;
  /** The host's address on the other end of eth0. */
  readonly gateway: string;
  /** The namespace's on eth0. */
  readonly address: string;
  /** `ip` there. */
  ip(...args: string[]): Promise<string>;
  remove(): Promise<void>;
}

/** eth0 by the plugin ptp, with an IPv6 address, too: its gateway is reached by a route of its own. */
export async function ptpNamespace(mtu: number): Promise<NetworkNamespace> {
  const { cniDir } = await labParts();
  const name = `kuasar-test-${randomBytes(3).toString("hex")}`;
  const path = join("/run/netns", name);
  const folder = await mkdtemp(join(tmpdir(), "kuasar-cni-"));
  const ranges = [[{ subnet: await freeSubnet() }], [{ subnet: "fd77:1::/64" }]];
  const routes = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
  const config = {
    cniVersion: "0.4.0",
    name,
    type: "ptp",
    mtu,
    ipam: { type: "host-local", dataDir: folder, ranges, routes },
  };
  const plugin = async (command: "ADD" | "DEL") => {
    const env = { CNI_COMMAND: command, CNI_CONTAINERID: name, CNI_NETNS: path, CNI_IFNAME: "eth0", CNI_PATH: cniDir };
    return (await execa(join(cniDir, "ptp"), { input: JSON.stringify(config), env })).stdout;
  };
  await execa("ip", ["netns", "add", name]);
  const ip = async (...args: string[]) => (await execa("ip", ["-n", name, ...args])).stdout;
  const remove = async () => {
    await plugin("DEL");
    await execa("ip", ["netns", "delete", name]);
    rmSync(folder, { recursive: true });
  };
  try {
    const { ips } = JSON.parse(await plugin("ADD")) as { ips: { address: string; gateway: string }[] };
    const [{ address = "", gateway = "" } = {}] = ips;
    return { path, name, gateway, address, ip, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
