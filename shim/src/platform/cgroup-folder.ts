import { readTextIfThere } from "./files.ts";

/** A cgroup of a process: of one hierarchy of v1, or of the one of v2. */
export interface CgroupFolder {
  readonly version: 1 | 2;
  readonly folder: string;
}

/** The process's cgroup that has the controller, of v1 where v1 has it; undefined where there is none. */
export function cgroupFolder(pid: number | "self", controller: string): CgroupFolder | undefined {
  const cgroups = lines(`/proc/${pid}/cgroup`).map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  const v1 = cgroups.find((match) => match?.[1]?.split(",").includes(controller));
  const v2 = cgroups.find((match) => match?.[1] === "");
  return (
    (v1 ? below(1, controller, v1[2] as string) : undefined) ?? (v2 ? below(2, controller, v2[2] as string) : undefined)
  );
}

/** The folders of mounted hierarchies that have been asked for: they stay, and the table of all mounts is long. */
const hierarchies = new Map<string, string>();

function below(version: 1 | 2, controller: string, path: string): CgroupFolder | undefined {
  const name = version === 2 ? "" : controller;
  const mounted =
    hierarchies.get(name) ??
    cgroupMounts().find((mount) => mount.version === version && (version === 2 || mount.has(controller)))?.folder;
  if (mounted === undefined) return undefined;
  hierarchies.set(name, mounted);
  return { version, folder: `${mounted}${path === "/" ? "" : path}` };
}

/** Where a hierarchy is mounted. */
export interface CgroupMount extends CgroupFolder {
  /** Of v1: whether it is the hierarchy of that controller. */
  has(controller: string): boolean;
}

export function cgroupMounts(): CgroupMount[] {
  return lines("/proc/self/mountinfo").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const [type, , options] = after?.split(" ") ?? [];
    if (type !== "cgroup" && type !== "cgroup2") return [];
    const has = (controller: string) => options?.split(",").includes(controller) ?? false;
    return [{ version: type === "cgroup" ? 1 : 2, folder: before?.split(" ")[4] ?? "", has } as const];
  });
}

function lines(path: string): string[] {
  return (readTextIfThere(path) ?? "").split("\n");
}
