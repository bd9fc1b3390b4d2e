import { busyboxReference } from "@kuasar/install/images";
import { execa } from "execa";
import type { Contest, Contestant } from "./contestants.ts";
import { timed } from "./statistics.ts";

const mebibytes = 1024;

/** What a container can write to its standard output, in MiB/s, through `ctr run`; its start-up taken off. */
export async function measureThroughput(contest: Contest, contestant: Contestant): Promise<number> {
  const empty = await timed(() => run(contest, contestant, ["true"]));
  const full = await timed(() => run(contest, contestant, ["dd", "if=/dev/zero", "bs=1M", `count=${mebibytes}`]));
  return (mebibytes / (full.ms - empty.ms)) * 1000;
}

async function run({ containerd }: Contest, contestant: Contestant, command: readonly string[]): Promise<void> {
  const runtime = ["--runtime", contestant.type, ...contestant.ctrFlags, "--snapshotter", containerd.snapshotter];
  const args = ["run", "--rm", ...runtime, busyboxReference, "throughput", ...command];
  const [program, ...rest] = containerd.ctrCommand(args);
  await execa(program, rest, { stdin: "ignore", stdout: "ignore" });
}
