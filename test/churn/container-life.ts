import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { CriClient } from "@kuasar/install/cri-client";
import type { Pod } from "@kuasar/install/pod";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { type Calls, Disturbed } from "./calls.ts";
import type { Findings } from "./finding.ts";
import type { ContainerModel, PodModel } from "./pod-model.ts";
import type { ExecPlan } from "./pod-plan.ts";
import { workloads } from "./workloads.ts";
import type { World } from "./world.ts";

const { CONTAINER_EXITED, CONTAINER_RUNNING } = runtime.v1.ContainerState;

/** How long an exit may take to be told, on a busy machine and over a restart of everything. */
const EXIT_DEADLINE_MS = 40_000;
const UP_DEADLINE_MS = 40_000;
const RETRY_MS = 100;
/** A call that a fault has disturbed works again within this time. */
const RECOVERY_MS = 40_000;
const GRACE_SECONDS = 30;
/** What a process ends with that was killed, or of which nobody knows. */
const killedCodes = [137, 255];

export interface LifeParts {
  readonly cri: CriClient;
  readonly calls: Calls;
  readonly findings: Findings;
  readonly world: World;
}

/** Makes the call again until it works, as the kubelet does with what must come about in the end. */
export async function persist<T>(parts: LifeParts, method: string, pod: PodModel, call: () => Promise<T>): Promise<T> {
  const began = Date.now();
  for (;;) {
    try {
      return await parts.calls.make(method, pod, call);
    } catch (error) {
      if (!(error instanceof Disturbed)) throw error;
      if (Date.now() - began > RECOVERY_MS) {
        const text = `${method} has failed for ${RECOVERY_MS} ms, last with: ${error.message}`;
        parts.findings.add("broken", text, pod.history);
        throw error;
      }
    }
    await sleep(RETRY_MS);
  }
}

/** Lives one container's plan. What a fault cuts short is left to the pod's removal. */
export async function liveContainer(parts: LifeParts, pod: Pod, model: PodModel, own: ContainerModel): Promise<void> {
  const { calls } = parts;
  const { plan } = own;
  await sleep(plan.afterMs);
  try {
    const { image, command } = workloads[plan.workload];
    const options = { name: plan.name, command: command(plan), ...(image && { image }) };
    const containerId = await calls.make("CreateContainer", model, () => pod.create(options));
    own.id = containerId;
    model.note(`${plan.name} is ${containerId}`);
    if (plan.kind !== "created") {
      own.startedAt = Date.now();
      await start(parts, model, own, containerId);
      if (plan.kind === "ends") await sawExit(parts, pod, model, own, containerId);
      else if (plan.kind !== "broken") await liveRunning(parts, pod, model, own, containerId);
    }
  } catch (error) {
    if (!(error instanceof Disturbed)) throw error;
    own.spoiled = true;
  }
  if (own.id !== undefined && (plan.removed || own.spoiled)) await remove(parts, model, own, own.id);
}

async function start({ cri, calls, findings }: LifeParts, model: PodModel, own: ContainerModel, containerId: string) {
  const start = () => cri.runtime.startContainer({ containerId });
  if (own.plan.kind !== "broken") {
    await calls.make("StartContainer", model, start);
    return;
  }
  let refused = "";
  try {
    await start();
  } catch (error) {
    refused = (error as Error).message;
  }
  model.note(`StartContainer of a program that is not there: ${refused}`);
  if (refused === "")
    findings.add("broken", `${own.plan.name}: a program that is not there was started`, model.history);
}

async function liveRunning(parts: LifeParts, pod: Pod, model: PodModel, own: ContainerModel, containerId: string) {
  const { cri, calls } = parts;
  const { plan } = own;
  if (!(await cameUp(parts, pod, model, own, containerId))) return;
  await Promise.all(plan.execs.map((exec) => liveExec(parts, pod, model, own, exec)));
  await requireRunning(parts, pod, model, own, containerId);
  if (plan.kind !== "obeys" && plan.kind !== "stubborn") return;
  own.ending = true;
  // One whose grace is over, or who was not heard, is killed: that is the plan for the stubborn one only.
  const timeout = plan.kind === "obeys" ? GRACE_SECONDS : 1;
  try {
    await calls.make("StopContainer", model, () => cri.runtime.stopContainer({ containerId, timeout }));
  } catch (error) {
    if (!(error instanceof Disturbed)) throw error;
    // A stop that begins again may find the signal lost: the kubelet's next one kills.
    await persist(parts, "StopContainer", model, () => cri.runtime.stopContainer({ containerId, timeout }));
  }
  await sawExit(parts, pod, model, own, containerId);
}

/** Waits for the container's own word that it is up. @returns false for one that was killed before */
async function cameUp(parts: LifeParts, pod: Pod, model: PodModel, own: ContainerModel, containerId: string) {
  own.pid = await persist(parts, "ContainerStatus", model, () => pidOf(parts.cri, containerId));
  if (workloads[own.plan.workload].upFileIs === "inside")
    return await cameUpInside(parts, pod, model, own, containerId);
  const path = `/proc/${own.pid}/root${workloads[own.plan.workload].upFile}`;
  const upOrGone = () => existsSync(path) || !existsSync(`/proc/${own.pid}`);
  try {
    await waitUntil(upOrGone, { what: `${path}`, timeoutMs: UP_DEADLINE_MS });
  } catch {
    parts.findings.add("hang", `${own.plan.name} (pid ${own.pid}) was started and does not run`, model.history);
  }
  if (existsSync(path)) return true;
  await sawExit(parts, pod, model, own, containerId);
  return false;
}

/** The same where nothing of the container can be seen from here. */
async function cameUpInside(parts: LifeParts, pod: Pod, model: PodModel, own: ContainerModel, containerId: string) {
  const { upFile } = workloads[own.plan.workload];
  for (const began = Date.now(); ; await sleep(RETRY_MS)) {
    const status = await persist(parts, "ContainerStatus", model, () => pod.containerStatus(containerId));
    if (status.state === CONTAINER_EXITED) break;
    // A call that a fault disturbs is made again.
    const isUp = await parts.calls
      .make("ExecSync", model, () => pod.exec(containerId, "test", "-e", upFile))
      .then(({ exitCode }) => exitCode === 0, ignoreDisturbed);
    if (isUp) return true;
    if (Date.now() - began < UP_DEADLINE_MS) continue;
    parts.findings.add("hang", `${own.plan.name} was started and does not run`, model.history);
    break;
  }
  await sawExit(parts, pod, model, own, containerId);
  return false;
}

async function pidOf(cri: CriClient, containerId: string): Promise<number> {
  const { info } = await cri.runtime.containerStatus({ containerId, verbose: true });
  return (JSON.parse(info?.info ?? "{}") as { pid?: number }).pid ?? 0;
}

async function liveExec(
  { calls, findings }: LifeParts,
  pod: Pod,
  model: PodModel,
  own: ContainerModel,
  exec: ExecPlan,
) {
  const { name, workload } = own.plan;
  const { execCommand } = workloads[workload];
  const containerId = own.id as string;
  const began = Date.now();
  const { stdout, exitCode } = await calls
    .make("ExecSync", model, () => pod.exec(containerId, ...execCommand(name, exec)))
    .catch((error: unknown) => {
      if (error instanceof Disturbed) return { stdout: undefined, exitCode: undefined };
      throw error;
    });
  if (exitCode === undefined || exitCode === exec.code) {
    const said = `from ${name}-exec\n`;
    if (stdout !== undefined && stdout !== said) {
      findings.add(
        "broken",
        `exec in ${name}: expected it to say ${JSON.stringify(said)}, got ${JSON.stringify(stdout)}`,
        model.history,
      );
    }
    return;
  }
  const killed = own.execKills.some((at) => at >= began) || own.allowsEarlyEnd || own.ending || model.condemned;
  if (killed && killedCodes.includes(exitCode)) return;
  findings.add("wrong exit code", `exec in ${name}: expected ${exec.code}, got ${exitCode}`, model.history);
}

/** No fault may have ended a container that was not meant to be. */
async function requireRunning(parts: LifeParts, pod: Pod, model: PodModel, own: ContainerModel, containerId: string) {
  const status = await persist(parts, "ContainerStatus", model, () => pod.containerStatus(containerId));
  if (status.state === CONTAINER_RUNNING || model.condemned || own.allowsEarlyEnd) return;
  const text = `${own.plan.name} is ${stateName(status)} with ${status.exitCode}, it must run`;
  parts.findings.add("lost", text, model.history);
}

/** Waits until containerd says that the container has exited, and checks its code. */
async function sawExit(parts: LifeParts, pod: Pod, model: PodModel, own: ContainerModel, containerId: string) {
  const { findings } = parts;
  const began = Date.now();
  for (;;) {
    const status = await persist(parts, "ContainerStatus", model, () => pod.containerStatus(containerId));
    if (status.state === CONTAINER_EXITED) {
      own.exitCode = status.exitCode;
      model.note(`${own.plan.name} exited with ${status.exitCode}`);
      return;
    }
    if (Date.now() - began > EXIT_DEADLINE_MS + own.plan.lastsMs) {
      const state = stateName(status);
      findings.add("exit not told", `${own.plan.name} must have ended, and is still ${state}`, model.history);
      return;
    }
    await sleep(RETRY_MS);
  }
}

function stateName({ state }: runtime.v1.ContainerStatus): string {
  return Object.entries(runtime.v1.ContainerState).find(([, value]) => value === state)?.[0] ?? String(state);
}

async function remove(parts: LifeParts, model: PodModel, own: ContainerModel, containerId: string): Promise<void> {
  own.ending = true;
  const call = () => parts.cri.runtime.removeContainer({ containerId });
  await persist(parts, "RemoveContainer", model, call).catch(ignoreDisturbed);
}

/** What could not be done is a finding by now; the pod's life goes on. */
export function ignoreDisturbed(error: unknown): void {
  if (!(error instanceof Disturbed)) throw error;
}
