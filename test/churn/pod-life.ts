import { setTimeout as sleep } from "node:timers/promises";
import { Pod, type PodOptions } from "@kuasar/install/pod";
import { runtime } from "@kuasar/proto/cri";
import { Disturbed } from "./calls.ts";
import { ignoreDisturbed, type LifeParts, liveContainer, persist } from "./container-life.ts";
import type { PodModel } from "./pod-model.ts";
import type { PodEnding } from "./pod-plan.ts";

const { SANDBOX_READY } = runtime.v1.PodSandboxState;
const ATTEMPTS = 60;
const RETRY_MS = 400;

/** Lives one pod's plan, from RunPodSandbox to its removal, as a kubelet would drive it. */
export async function livePod(parts: LifeParts, options: Omit<PodOptions, "name">, model: PodModel): Promise<void> {
  const pod = await runPod(parts, options, model);
  if (!pod) return;
  await Promise.all(model.containers.map((container) => liveContainer(parts, pod, model, container)));
  await requireReady(parts, pod, model);
  model.phase = "removing";
  for (const container of model.containers) container.ending = true;
  await endPod(parts, model, pod.id);
}

/** A pod that a fault kept from coming about is removed, and made again under another name, as the kubelet does. */
async function runPod(parts: LifeParts, options: Omit<PodOptions, "name">, model: PodModel): Promise<Pod | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const name = `${model.plan.name}-a${attempt}`;
    try {
      const pod = await parts.calls.make("RunPodSandbox", model, () => Pod.run(parts.cri, { ...options, name }));
      parts.world.identify(model, pod.id);
      model.phase = "living";
      return pod;
    } catch (error) {
      ignoreDisturbed(error);
    }
    await removeByName(parts, model, name);
    await sleep(RETRY_MS);
  }
  parts.findings.add("broken", `${model.plan.name}: RunPodSandbox failed ${ATTEMPTS} times`, model.history);
  return undefined;
}

async function removeByName(parts: LifeParts, model: PodModel, name: string): Promise<void> {
  const list = () => parts.cri.runtime.listPodSandbox({});
  const { items } = await persist(parts, "ListPodSandbox", model, list);
  for (const { id } of items.filter((item) => item.metadata?.name === name)) {
    model.note(`${name} was left as ${id}`);
    await removePod(parts, model, id, "stopped");
  }
}

async function requireReady(parts: LifeParts, pod: Pod, model: PodModel): Promise<void> {
  try {
    const { state } = await persist(parts, "PodSandboxStatus", model, () => pod.status());
    if (state === SANDBOX_READY || model.condemned) return;
    parts.findings.add("lost", `${model.plan.name} is not ready, though nothing was done to it`, model.history);
  } catch (error) {
    ignoreDisturbed(error);
  }
}

async function endPod(parts: LifeParts, model: PodModel, id: string): Promise<void> {
  const { ending } = model.plan;
  await removePod(parts, model, id, ending);
  if (ending === "twice") await removePod(parts, model, id, ending);
}

/** @throws nothing: what cannot be removed is a finding */
export async function removePod(parts: LifeParts, model: PodModel, podSandboxId: string, ending: PodEnding) {
  const { runtime } = parts.cri;
  const stop = () => persist(parts, "StopPodSandbox", model, () => runtime.stopPodSandbox({ podSandboxId }));
  try {
    if (ending !== "removed") await stop();
    if (ending === "twice") await stop();
    await persist(parts, "RemovePodSandbox", model, () => runtime.removePodSandbox({ podSandboxId }));
  } catch (error) {
    if (!(error instanceof Disturbed)) throw error;
  }
}
