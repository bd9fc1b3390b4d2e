import type { FaultKind, FaultLog } from "./fault-log.ts";
import type { ContainerModel, PodModel } from "./pod-model.ts";

/** The pods that are alive or being made, and what was done to sandboxes whose pod is not known yet. */
export class World {
  readonly pods = new Set<PodModel>();
  private readonly shimsKilled = new Set<string>();
  private readonly pausesKilled = new Set<string>();
  private readonly machinesKilled = new Set<string>();

  constructor(readonly faults: FaultLog) {}

  /** RunPodSandbox has told the pod's id: what was done to that sandbox until now was done to this pod. */
  identify(pod: PodModel, id: string): void {
    pod.id = id;
    pod.note(`is ${id}`);
    pod.shimKilled ||= this.shimsKilled.has(id);
    pod.pauseKilled ||= this.pausesKilled.has(id);
    pod.machineKilled ||= this.machinesKilled.has(id);
  }

  container(name: string): { pod: PodModel; container: ContainerModel } | undefined {
    for (const pod of this.pods) {
      const container = pod.containers.find(({ plan }) => plan.name === name);
      if (container) return { pod, container };
    }
    return undefined;
  }

  /** The pods whose sandbox or container has one of these ids; those without an id yet where none has. */
  owners(ids: ReadonlySet<string>): PodModel[] {
    const all = [...this.pods];
    const named = all.filter(
      (pod) => (pod.id && ids.has(pod.id)) || pod.containers.some(({ id }) => id !== undefined && ids.has(id)),
    );
    return named.length > 0 ? named : all.filter(({ id }) => id === undefined);
  }

  /** Takes note, before it is done, of a fault that is one pod's. */
  strike(kind: FaultKind, ids: ReadonlySet<string>, what: string): void {
    const owners = this.owners(ids);
    const isMachine = kind === "hypervisor" || kind === "virtiofsd";
    this.faults.strike(kind, owners);
    for (const pod of owners) {
      pod.note(`FAULT ${kind}: ${what}`);
      if (pod.id === undefined || !ids.has(pod.id)) continue;
      pod.shimKilled ||= kind === "shim";
      pod.pauseKilled ||= kind === "pause";
      pod.machineKilled ||= isMachine;
    }
    for (const id of ids) {
      if (kind === "shim") this.shimsKilled.add(id);
      if (kind === "pause") this.pausesKilled.add(id);
      if (isMachine) this.machinesKilled.add(id);
    }
  }

  /** A fault that is everybody's. @returns what is to be called when its victim is back */
  strikeAll(kind: FaultKind): () => void {
    const fault = this.faults.begin(kind);
    for (const pod of this.pods) {
      pod.note(`FAULT ${kind} killed`);
      pod.sawContainerdKilled ||= kind !== "sandboxer";
    }
    return () => {
      fault.endedAt = Date.now();
      for (const pod of this.pods) pod.note(`${kind} back`);
    };
  }
}
