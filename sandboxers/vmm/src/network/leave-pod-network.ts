import { existsSync } from "node:fs";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import { findProgram } from "@kuasar/framework/proc/find-program";

const TIMEOUT_MS = 10_000;
const TAP_NAME = /^kuasar-tap\d+$/;

/** Undoes `joinPodNetwork`, or what there is of it: for a namespace that outlives its machine. Harmless in one without. */
export async function leavePodNetwork(monitor: Monitor, netns: string): Promise<void> {
  if (!existsSync(netns)) return;
  const run = async (name: string, ...args: string[]) => {
    const argv = [program("nsenter"), `--net=${netns}`, program(name), ...args];
    return await monitor.run({ argv, env: [], cwd: "/", timeoutMs: TIMEOUT_MS });
  };
  const { exitStatus, stdout } = await run("ip", "-json", "link", "show");
  // The namespace has gone meanwhile, with all that was in it.
  if (exitStatus !== 0) return;
  const links = JSON.parse(Buffer.from(stdout).toString() || "[]") as ReadonlyArray<{
    readonly ifname: string;
    readonly link_type: string;
  }>;
  const taps = links.filter(({ ifname }) => TAP_NAME.test(ifname));
  if (taps.length === 0) return;
  for (const { ifname } of taps) await run("ip", "link", "delete", "dev", ifname);
  // One that has none says so, which is as it should be.
  for (const { ifname, link_type } of links) {
    if (link_type === "ether" && !TAP_NAME.test(ifname)) await run("tc", "qdisc", "delete", "dev", ifname, "ingress");
  }
}

function program(name: string): string {
  const found = findProgram(name);
  if (found === undefined) throw failedPrecondition(`${name} is not an executable file in $PATH`);
  return found;
}
