import { rmSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@kuasar/install/wait-until";
import type { Part } from "../part.ts";
import { attach, hasFallen, straceArguments } from "../strace.ts";

/** The sandboxer is killed. Its store, its sockets and its calls to monitors are all the work of its main thread. */
export const sandboxer: Part = {
  name: "sandboxer",
  takesPartIn: () => true,
  async arm(crash, _operation, _scene, point) {
    const trace = join(crash.scratch, "trace");
    rmSync(trace, { force: true });
    const { pid } = crash.lab.sandboxer;
    if (pid === undefined) throw new Error("expected a sandboxer that runs");
    const attached = await attach(pid, straceArguments(trace, point && { point, blow: "kill" }));
    return { trace, struck: () => hasFallen(trace, "kill"), pid: () => pid, disarm: () => attached.detach() };
  },

  /** The blow has fallen when the trace says so; the process is gone a moment later. */
  async strike({ lab }) {
    await waitUntil(() => lab.sandboxer.pid === undefined, { what: "the sandboxer to be gone", timeoutMs: 5_000 });
  },
};
