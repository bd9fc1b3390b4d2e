import type { Exits } from "./exits.ts";
import type { Findings } from "./finding.ts";
import type { PodModel } from "./pod-model.ts";

/**
 * Each container's exit is told once, with its code. An event is given to containerd until it has taken it, so one that
 * containerd was killed over may be heard before and after; and with nobody there to hear it, it may not be heard.
 *
 * @param steady whether containerd ran all the time
 */
export function checkExits(pod: PodModel, exits: Exits, steady: boolean, findings: Findings): void {
  for (const { id, plan, exitCode } of pod.containers) {
    if (id === undefined) continue;
    const told = exits.of(id);
    const codes = told.map(({ code }) => code);
    const subscriptions = new Set(told.map(({ subscription }) => subscription));
    // containerd itself tells the end of what a dead shim had, as well.
    if (told.length > subscriptions.size && !pod.shimKilled) {
      findings.add("exit told twice", `${plan.name}: ${codes.join(", ")}`, pod.history);
    }
    if (exitCode === undefined || pod.shimKilled) continue;
    if (told.length === 0 && steady) findings.add("exit not told", `${plan.name}: there was no TaskExit`, pod.history);
    if (codes.some((code) => code !== exitCode)) {
      const text = `${plan.name}: CRI says ${exitCode}, TaskExit said ${codes.join(", ")}`;
      findings.add("wrong exit code", text, pod.history);
    }
  }
}
