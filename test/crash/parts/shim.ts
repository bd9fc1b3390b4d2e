import { rmSync } from "node:fs";
import { join } from "node:path";
import type { CrashLab } from "../crash-lab.ts";
import type { CrashPoint } from "../crash-point.ts";
import { type Operation, type Scene, shimDeath } from "../operations.ts";
import type { Armed, Part } from "../part.ts";
import { attach, type Blow, hasFallen, straceArguments } from "../strace.ts";
import type { ShimStage } from "../traced-shim.ts";

const beginsShim = ({ name }: Operation) => name === "RunPodSandbox" || name === "ctr run";

/** Traces a shim: one that is there already, or the one that the operation begins with. */
export async function armShim(
  crash: CrashLab,
  stage: ShimStage,
  { pod }: Scene,
  blow: Blow,
  point: CrashPoint | undefined,
): Promise<Armed> {
  const trace = join(crash.scratch, "trace");
  rmSync(trace, { force: true });
  const args = straceArguments(trace, point && { point, blow });
  const struck = () => hasFallen(trace, blow);
  if (stage === "serve" && pod) {
    const { pid } = crash.lab.shimOf(pod.id);
    const attached = await attach(pid, args);
    return { trace, struck, pid: () => pid, disarm: () => attached.detach() };
  }
  crash.shim.arm(stage, args);
  return { trace, struck, pid: () => crash.shim.pid(stage), disarm: async () => crash.shim.disarm() };
}

function shimPart(name: string, stage: ShimStage, takesPartIn: (operation: Operation) => boolean): Part {
  return {
    name,
    losesPod: true,
    takesPartIn,
    arm: (crash, _operation, scene, point) => armShim(crash, stage, scene, "kill", point),
  };
}

/** A container's `start` finds its pod's shim; the others leave one behind. */
export const startsShim = (operation: Operation) => beginsShim(operation) || operation.name === "StartContainer";

/** The `start` command is killed. */
export const shimStart = shimPart("shim-start", "start", startsShim);
/** The serving shim is killed. */
export const shimServe = shimPart("shim-serve", "serve", (operation) => operation !== shimDeath);

/** The serving shim is killed, and then the `delete` command that is to clean up after it. */
export const shimDelete: Part = {
  name: "shim-delete",
  losesPod: true,
  takesPartIn: (operation) => operation === shimDeath,
  arm: (crash, _operation, _scene, point) => armShim(crash, "delete", {}, "kill", point),
};
