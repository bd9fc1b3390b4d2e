import { readFileSync, readlinkSync } from "node:fs";
import { hasEnded, type Process, processTable, readProcess } from "@kuasar/install/process-table";
import { workloads } from "./workloads.ts";

/** What can be killed, by what it looks like in the process table. Only this run's processes are to be seen there. */
export const victims = {
  shims: (shim: string) => alive(({ argv }) => argv[0]?.endsWith(shim) === true && !isCommand(argv)),
  startCommands: (shim: string) => alive(({ argv }) => argv[0]?.endsWith(shim) === true && argv.at(-1) === "start"),
  deleteCommands: (shim: string) => alive(({ argv }) => argv[0]?.endsWith(shim) === true && argv.at(-1) === "delete"),
  /** runc's own commands, and what they have forked that is not the container yet. */
  runtimes: () => alive(({ argv }) => /(^|\/)(runc|crun)$/.test(argv[0] ?? "") || argv[0] === "runc"),
  /** Wasm engines that compile. */
  compilers: () => alive(({ argv }) => argv[1] === "compile" && workloads.wasm.program.test(argv[0] ?? "")),
  inits: () => alive(({ argv }) => /^churn-\d+-c\d+$/.test(argv.at(-1) ?? "") && isWorkload(argv)),
  execs: () => alive(({ argv }) => /^churn-\d+-c\d+-exec$/.test(argv.at(-1) ?? "") && isWorkload(argv)),
  hypervisors: () => alive(({ argv }) => argv.some((word) => word.endsWith(",process=kuasar-vm"))),
  virtiofsds: () => alive(({ argv }) => /(^|\/)virtiofsd$/.test(argv[0] ?? "")),
  /** catatonit's -P in our pods, /pause in the runc shim's. */
  pauses: () => alive(({ argv }) => argv.at(-1) === "-P" || argv[0] === "/pause"),
};

function isWorkload([program = ""]: readonly string[]): boolean {
  return Object.values(workloads).some((workload) => workload.program.test(program));
}

function isCommand(argv: readonly string[]): boolean {
  return ["start", "delete"].includes(argv.at(-1) ?? "");
}

function alive(fits: (process: Process) => boolean): Process[] {
  return processTable().filter((process) => process.state !== "Z" && fits(process));
}

/** The container's name that a process of ours has as its last argument. */
export function nameOf({ argv }: Process): string {
  return (argv.at(-1) ?? "").replace(/-exec$/, "");
}

/** containerd's ids that a process's arguments, folder or cgroup name, or its runc's if it is a `runc init`. */
export function idsOf({ pid, ppid, argv }: Process): Set<string> {
  const runc = argv[1] === "init" ? readProcess(ppid) : undefined;
  const texts = [...argv, ...(runc?.argv ?? [])];
  try {
    texts.push(readlinkSync(`/proc/${pid}/cwd`), readFileSync(`/proc/${pid}/cgroup`, "utf8"));
  } catch (error) {
    if (!hasEnded(error)) throw error;
  }
  return new Set(texts.flatMap((text) => text.match(/[0-9a-f]{64}/g) ?? []));
}

/** @returns whether it was there to be killed */
export function kill9({ pid }: Process): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch (error) {
    if (hasEnded(error)) return false;
    throw error;
  }
}
