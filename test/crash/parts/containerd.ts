import type { CrashLab } from "../crash-lab.ts";
import { type Operation, shimDeath } from "../operations.ts";
import type { Armed, Part } from "../part.ts";
import type { ShimStage } from "../traced-shim.ts";
import { armShim, startsShim } from "./shim.ts";

/** containerd is killed while a shim stands still at a point of its own. */
function containerdPart(name: string, stage: ShimStage, takesPartIn: (operation: Operation) => boolean): Part {
  return {
    name,
    takesPartIn,
    arm: (crash, _operation, scene, point) => armShim(crash, stage, scene, "stop", point),
    strike,
  };
}

async function strike({ lab }: CrashLab, armed: Armed): Promise<void> {
  await lab.containerd.kill("SIGKILL");
  const pid = armed.pid();
  if (pid === undefined) return;
  try {
    process.kill(pid, "SIGCONT");
  } catch (error) {
    // A `start` may have gone with containerd, whose child it is.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export const containerdInStart = containerdPart("containerd-start", "start", startsShim);
export const containerdInCall = containerdPart("containerd-call", "serve", (operation) => operation !== shimDeath);
