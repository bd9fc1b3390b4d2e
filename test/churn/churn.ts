import { createHash } from "node:crypto";
import { type CriClient, connectCri } from "@kuasar/install/cri-client";
import { criNamespace } from "@kuasar/install/private-containerd";
import type { Lab } from "../integration/lab.ts";
import { CALL_DEADLINE_MS, Calls } from "./calls.ts";
import { type LifeParts, persist } from "./container-life.ts";
import { checkExits } from "./exit-check.ts";
import { Exits } from "./exits.ts";
import { FaultLog } from "./fault-log.ts";
import { createFindings, type Finding, type Findings } from "./finding.ts";
import { Injector } from "./injector.ts";
import { difference, settledTraces } from "./oracle.ts";
import { livePod, removePod } from "./pod-life.ts";
import { PodModel } from "./pod-model.ts";
import { planPod, type WorkloadName } from "./pod-plan.ts";
import { createRandom, type Random } from "./random.ts";
import type { Subject } from "./subject.ts";
import { World } from "./world.ts";

export interface ChurnOptions {
  readonly subject: Subject;
  readonly pods: number;
  readonly seed: number;
  readonly parallel: number;
  readonly faults: boolean;
  /** After so many pods everything must be gone. */
  readonly round: number;
  readonly onFinding: (finding: Finding) => void;
  readonly onRound: (podsMade: number) => void;
}

/** What came of a run. */
export interface ChurnResult {
  readonly pods: number;
  readonly containers: number;
  readonly calls: Calls;
  readonly faults: FaultLog;
  readonly findings: Findings;
  /** What was left and told of, a line for each thing. */
  readonly left: ReadonlySet<string>;
  readonly tookMs: number;
}

/** Makes pods, lets them live and be disturbed, removes them, and looks whether everything is as before. */
export async function churn(options: ChurnOptions, lab: Lab): Promise<ChurnResult> {
  const began = Date.now();
  const faults = new FaultLog();
  const findings = createFindings(options.subject.runtimeCase, options.onFinding);
  const calls = new Calls(faults, findings);
  const world = new World(faults);
  const cri = connectCri(lab.containerd.layout.socket, { callTimeoutMs: CALL_DEADLINE_MS });
  const exits = new Exits(lab.containerd.layout.socket);
  const random = createRandom(options.seed);
  const { faults: weights, calmMs } = options.subject;
  const injector = new Injector(lab, weights, world, random.fork("faults"), findings, calmMs);
  const run = { options, lab, random, world, exits, injector, parts: { cri, calls, findings, world } };
  const left = new Set<string>();
  let containers = 0;
  try {
    await warmUp(run);
    const before = await settledTraces(lab);
    for (let first = 0; first < options.pods; first += options.round) {
      const last = Math.min(first + options.round, options.pods);
      const pods = await liveRound(run, first, last);
      containers += pods.reduce((sum, pod) => sum + pod.containers.length, 0);
      await requireNothingLeft(run, before, left, pods);
      options.onRound(last);
    }
  } finally {
    await exits.close();
    cri.close();
  }
  return { pods: options.pods, containers, calls, faults, findings, left, tookMs: Date.now() - began };
}

interface Run {
  readonly options: ChurnOptions;
  readonly lab: Lab;
  readonly random: Random;
  readonly world: World;
  readonly exits: Exits;
  readonly injector: Injector;
  readonly parts: LifeParts & { readonly cri: CriClient };
}

/** The first pod of a machine leaves what all later ones share: a bridge, folders, chains of iptables, runc's state. */
async function warmUp(run: Run): Promise<void> {
  const names = Object.keys(run.options.subject.workloads) as WorkloadName[];
  const { network: only } = run.options.subject;
  for (const network of only ? [only] : (["cni", "host"] as const)) {
    for (const name of names) {
      const plan = planPod(createRandom(1), 0, { [name]: 1 });
      await live(run, new PodModel({ ...plan, name: "warm-up", network }));
    }
  }
}

async function liveRound(run: Run, first: number, last: number): Promise<PodModel[]> {
  const { options, injector, random } = run;
  const pods: PodModel[] = [];
  if (options.faults) injector.start();
  let next = first;
  const worker = async () => {
    while (next < last) {
      const { workloads, network } = options.subject;
      const pod = new PodModel({ ...planPod(random, next++, workloads), ...(network && { network }) });
      pods.push(pod);
      await live(run, pod);
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, worker));
  await injector.stop();
  return pods;
}

async function live({ lab, world, parts, options, exits }: Run, pod: PodModel): Promise<void> {
  const { network, sharePid } = pod.plan;
  const { handler } = options.subject.runtimeCase;
  const began = Date.now();
  world.pods.add(pod);
  try {
    await livePod(
      parts,
      { handler, network, sharePid, cgroupParent: lab.containerd.cgroupParent, logDirectory: lab.podLogs },
      pod,
    );
    checkExits(pod, began, { exits, faults: parts.calls.faults, findings: parts.findings });
  } catch (error) {
    parts.findings.add("broken", `${pod.plan.name}: ${(error as Error).stack}`, pod.history);
  } finally {
    world.pods.delete(pod);
  }
}

/** @param left what earlier rounds have left and told of; that of this one is added */
async function requireNothingLeft(
  run: Run,
  before: readonly string[],
  left: Set<string>,
  pods: readonly PodModel[],
): Promise<void> {
  const { lab, parts } = run;
  const stray = new PodModel({ name: "stray", network: "host", sharePid: false, containers: [], ending: "stopped" });
  const { items } = await persist(parts, "ListPodSandbox", stray, () => parts.cri.runtime.listPodSandbox({}));
  for (const { id, metadata } of items) {
    const story = pods.find(({ plan }) => metadata?.name?.startsWith(`${plan.name}-a`))?.history;
    parts.findings.add("left behind", `the pod ${metadata?.name} (${id}) is still listed`, story);
    await removePod(parts, stray, id, "stopped");
  }
  for (const line of await difference(lab, before, left)) {
    left.add(line);
    const names: readonly string[] = line.match(/[0-9a-f]{64}/g) ?? [];
    const isNamed = (id: string) => names.includes(id) || names.includes(socketName(lab, id));
    const story = pods.filter(({ history }) => history.some((text) => text.match(/[0-9a-f]{64}/g)?.some(isNamed)));
    const lines = story.flatMap(({ history }) => history);
    parts.findings.add("left behind", line, lines);
  }
}

/** What a shim's socket is called (runtime/v2/shim/util_unix.go). */
function socketName(lab: Lab, id: string): string {
  return createHash("sha256").update(`${lab.containerd.layout.socket}/${criNamespace}/${id}`).digest("hex");
}
