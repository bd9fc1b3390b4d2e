import type { Random, Weights } from "./random.ts";

/** How a container's life is meant to go. */
export type ContainerKind =
  /** Ends by itself, with its code. */
  | "ends"
  /** Runs until it is told to stop, and then ends with its code. */
  | "obeys"
  /** Is told to stop, does not listen, and is killed. */
  | "stubborn"
  /** Is removed while it runs, without having been stopped. */
  | "removed"
  /** Runs until its pod is removed. */
  | "left"
  /** Is made, never started, and removed. */
  | "created"
  /** Its program is not there. */
  | "broken";

/** What it runs: see `workloads.ts`. */
export type WorkloadName = "linux" | "wasm" | "guest";

export interface ExecPlan {
  readonly code: number;
  readonly lastsMs: number;
}

export interface ContainerPlan {
  /** Unique in the run; the command's last argument. */
  readonly name: string;
  readonly kind: ContainerKind;
  readonly workload: WorkloadName;
  /** What its process ends with when nothing is done to it. */
  readonly code: number;
  /** What is waited before it is made. */
  readonly afterMs: number;
  /** How long one that ends by itself lasts. */
  readonly lastsMs: number;
  readonly execs: readonly ExecPlan[];
  /** Whether it is removed by itself, and not with its pod. */
  readonly removed: boolean;
}

export type PodEnding =
  /** Stopped, then removed, as the kubelet does. */
  | "stopped"
  /** Removed while everything runs. */
  | "removed"
  /** Stopped twice and removed twice. */
  | "twice";

export interface PodPlan {
  readonly name: string;
  readonly network: "host" | "cni";
  readonly sharePid: boolean;
  readonly containers: readonly ContainerPlan[];
  readonly ending: PodEnding;
}

const kinds: Readonly<Record<ContainerKind, number>> = {
  ends: 6,
  obeys: 4,
  stubborn: 1,
  removed: 2,
  left: 3,
  created: 1,
  broken: 1,
};

/**
 * What the pod of that number does: the same for the same seed, whatever the others do.
 *
 * @param workloads how often its containers run which
 */
export function planPod(random: Random, index: number, workloads: Weights<WorkloadName> = { linux: 1 }): PodPlan {
  const own = random.fork(`pod ${index}`);
  const name = `churn-${index}`;
  const count = own.weighted({ "0": 1, "1": 5, "2": 3, "3": 1 });
  return {
    name,
    network: own.chance(0.15) ? "cni" : "host",
    sharePid: own.chance(0.25),
    containers: Array.from({ length: Number(count) }, (_, at) => planContainer(own, `${name}-c${at}`, workloads)),
    ending: own.weighted<PodEnding>({ stopped: 6, removed: 3, twice: 1 }),
  };
}

function planContainer(random: Random, name: string, workloads: Weights<WorkloadName>): ContainerPlan {
  const kind = random.weighted(kinds);
  const runs = kind !== "created" && kind !== "broken";
  return {
    name,
    kind,
    workload: random.fork(name).weighted(workloads),
    code: random.integer(0, 120),
    afterMs: random.chance(0.5) ? 0 : random.integer(0, 300),
    lastsMs: random.chance(0.3) ? 0 : random.integer(20, 900),
    execs: runs && kind !== "ends" ? Array.from({ length: random.integer(0, 3) }, () => planExec(random)) : [],
    removed: kind === "removed" || random.chance(0.5),
  };
}

function planExec(random: Random): ExecPlan {
  return { code: random.integer(0, 120), lastsMs: random.chance(0.5) ? 0 : random.integer(10, 500) };
}
