import type { Exits } from "./exits.ts";
import type { FaultLog } from "./fault-log.ts";
import type { Findings } from "./finding.ts";
import type { ContainerModel, PodModel } from "./pod-model.ts";

const UNKNOWN_STATUS = 255;
const killedCodes = [137, UNKNOWN_STATUS];

export interface ExitCheckParts {
  readonly exits: Exits;
  readonly faults: FaultLog;
  readonly findings: Findings;
}

/**
 * What CRI and TaskExit said of the ends of a pod's containers. Each is told once, with its code. An event is given to
 * containerd until it has taken it, so one that containerd was killed over may be heard before and after; and with
 * nobody there to hear it, it may not be heard.
 *
 * @param began when the pod's life did
 */
export function checkExits(pod: PodModel, began: number, parts: ExitCheckParts): void {
  for (const container of pod.containers) {
    if (container.id !== undefined) checkExit(pod, container, container.id, began, parts);
  }
}

function checkExit(pod: PodModel, own: ContainerModel, id: string, began: number, parts: ExitCheckParts): void {
  const { faults, findings } = parts;
  const { exitCode, plan } = own;
  const told = parts.exits.of(id);
  const codes = told.map(({ code }) => code);
  const subscriptions = new Set(told.map(({ subscription }) => subscription));
  // containerd itself tells the end of what a dead shim had, as well.
  if (told.length > subscriptions.size && !pod.shimKilled) {
    findings.add("exit told twice", `${plan.name}: ${codes.join(", ")}`, pod.history);
  }
  if (exitCode === undefined) return;
  if (told.length === 0 && !pod.shimKilled && faults.containerdSteady(began)) {
    findings.add("exit not told", `${plan.name}: there was no TaskExit`, pod.history);
  }
  if (isAllowed(pod, own, exitCode)) return;
  const forgotten =
    exitCode === UNKNOWN_STATUS && told.some(({ code, at }) => own.allows(code) && faults.containerdForgot(at));
  const text = `${plan.name} (${plan.kind}): expected ${own.codes.join(" or ")}, CRI says ${exitCode}, TaskExit said ${codes.join(" and ") || "nothing"}`;
  findings.add(
    "wrong exit code",
    forgotten ? `${text}; containerd was killed when it had just taken that` : text,
    pod.history,
  );
}

function isAllowed(pod: PodModel, own: ContainerModel, code: number): boolean {
  return own.allows(code) || own.spoiled || (pod.condemned && killedCodes.includes(code));
}
