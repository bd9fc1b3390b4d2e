import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import { findProgram } from "@kuasar/framework/proc/find-program";
import type { TapInterface } from "../hypervisor/hypervisor.ts";
import { type NetworkPlan, planNetwork, QUESTIONS } from "./namespace-state.ts";

export interface PodNetwork extends NetworkPlan {
  readonly taps: readonly TapInterface[];
}

export const NO_NETWORK: PodNetwork = { taps: [], interfaces: [], routes: [], neighbours: [], leftOut: [] };

const TIMEOUT_MS = 10_000;
/** As much as a monitor keeps of a command's output. */
const ANSWER_MOST_BYTES = 64 * 1024;
const TAP = "kuasar-tap";
/** The classifier that every kernel has; it takes each packet, whatever its protocol. */
const EVERY_PACKET = "protocol all prio 1 u32 match u8 0 0";

/**
 * Gives each of the namespace's interfaces a tap device, and sends whatever comes in at one out of the other: the machine
 * behind the tap then is what the interface was, with its addresses. They go with the namespace.
 * @param directory for the programs' inputs: each program is run once
 */
export async function joinPodNetwork(monitor: Monitor, netns: string, directory: string): Promise<PodNetwork> {
  const run = inNamespace(monitor, netns, directory);
  const plan = planNetwork(await run("ip", ["-json", "-details"], QUESTIONS));
  const taps = plan.interfaces.map(({ mac }, i) => ({ tap: `${TAP}${i}`, mac }));
  if (taps.length === 0) return { ...plan, taps };
  await run(
    "ip",
    [],
    plan.interfaces.flatMap(({ mtu }, i) => [
      `tuntap add dev ${TAP}${i} mode tap`,
      `link set dev ${TAP}${i} mtu ${mtu} up`,
    ]),
  );
  await run(
    "tc",
    [],
    plan.interfaces.flatMap(({ name }, i) => [...redirect(name, `${TAP}${i}`), ...redirect(`${TAP}${i}`, name)]),
  );
  return { ...plan, taps };
}

const redirect = (from: string, to: string) => [
  `qdisc add dev ${from} ingress`,
  `filter add dev ${from} parent ffff: ${EVERY_PACKET} action mirred egress redirect dev ${to}`,
];

type RunBatch = (program: string, flags: readonly string[], lines: readonly string[]) => Promise<string>;

/** Runs a program of iproute2 over many commands; of the first that fails it is told what was said. */
function inNamespace(monitor: Monitor, netns: string, directory: string): RunBatch {
  const nsenter = requireProgram("nsenter");
  return async (name, flags, lines) => {
    const input = join(directory, `${name}.batch`);
    writeFileSync(input, `${lines.join("\n")}\n`, { mode: 0o600 });
    const argv = [nsenter, `--net=${netns}`, requireProgram(name), ...flags, "-batch", input];
    const { exitStatus, stdout, stderr } = await monitor.run({ argv, env: [], cwd: "/", timeoutMs: TIMEOUT_MS });
    if (exitStatus === 0) {
      if (stdout.length < ANSWER_MOST_BYTES) return Buffer.from(stdout).toString();
      throw failedPrecondition(`the network of ${netns} takes more than ${ANSWER_MOST_BYTES} bytes to describe`);
    }
    const said = Buffer.from(stderr).toString().trim();
    const line = Number(/:(\d+)\s*$/.exec(said)?.[1]);
    throw failedPrecondition(`${name} ${lines[line - 1] ?? ""} in ${netns}: ${said}`);
  };
}

function requireProgram(name: string): string {
  const found = findProgram(name);
  if (found === undefined)
    throw failedPrecondition(`${name} is not an executable file in $PATH: a machine's network needs it`);
  return found;
}
