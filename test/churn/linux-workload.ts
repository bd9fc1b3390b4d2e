import type { ContainerKind } from "./pod-plan.ts";
import type { Workload } from "./workload.ts";

const upFile = "/tmp/up";

/** A shell's scripts. */
export const linux: Workload = {
  program: /^sh$/,
  upFile,
  upFileIs: "below its root",

  command({ kind, code, lastsMs, name }) {
    if (kind === "broken") return ["/no/such/program", name];
    return ["sh", "-c", kind === "ends" ? `sleep ${lastsMs / 1000}; exit ${code}` : untilStopped(kind, code), name];
  },

  execCommand(name, { code, lastsMs }) {
    return ["sh", "-c", `sleep ${lastsMs / 1000}; echo from $0; exit ${code}`, `${name}-exec`];
  },

  codeOfStop: ({ kind, code }) => (kind === "stubborn" ? undefined : code),
};

/** The same in a virtual machine. */
export const guest: Workload = { ...linux, upFileIs: "inside" };

function untilStopped(kind: ContainerKind, code: number): string {
  const trap = kind === "stubborn" ? "trap '' TERM" : `trap 'exit ${code}' TERM`;
  return `${trap}; : > ${upFile}; while :; do sleep 1000 & wait $!; done`;
}
