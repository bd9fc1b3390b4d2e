import { errorText, unimplemented } from "../error/sandbox-error.ts";
import type { KeyedLock } from "../lock/keyed-lock.ts";
import type { Logger } from "../log/logger.ts";
import type { JsonObject } from "../store/json.ts";
import { logUnwritten } from "../store/unwritten.ts";
import { checkTaskVerb, type TaskVerb } from "../task/task-state.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxRegistry } from "./sandbox-registry.ts";
import { taskState } from "./sandbox-state.ts";
import type { Sandboxer, WholeSandbox } from "./sandboxer.ts";

/** What can be done to a sandbox as a whole, under the names that its pause container's task has for it. */
export interface SandboxControl {
  /** UNIMPLEMENTED where the sandboxer has no such thing; UNKNOWN with the runc shim's words for a state that it does not fit. */
  pause(namespace: string, id: string): Promise<void>;
  resume(namespace: string, id: string): Promise<void>;
  update(namespace: string, id: string, resources: JsonObject): Promise<void>;
  /** For a sandbox that a former process of this sandboxer has noted as paused, perhaps without having come to do it. */
  pauseAgain(sandbox: Sandbox): Promise<void>;
}

export interface SandboxControlParts {
  readonly sandboxer: Sandboxer;
  readonly registry: SandboxRegistry;
  readonly lock: KeyedLock;
  readonly log: Logger;
}

export function createSandboxControl({ sandboxer, registry, lock, log }: SandboxControlParts): SandboxControl {
  async function locked(
    namespace: string,
    id: string,
    verb: TaskVerb,
    body: (whole: WholeSandbox, sandbox: Sandbox) => Promise<void>,
  ): Promise<void> {
    const { whole, kind } = sandboxer;
    if (whole === undefined) {
      throw unimplemented(
        `${verb} of sandbox ${id}: not for sandboxes of kind ${kind}, only for the containers in them`,
      );
    }
    const sandbox = registry.get(namespace, id);
    await lock.run(sandbox.key, verb, async () => {
      checkTaskVerb(id, taskState(sandbox.record.state), verb);
      await body(whole, sandbox);
    });
  }

  return {
    async pause(namespace, id) {
      await locked(namespace, id, "pause", async (whole, sandbox) => {
        sandbox.update({ state: "paused" });
        try {
          await whole.pause(sandbox);
        } catch (error) {
          backToReady(sandbox, log);
          throw error;
        }
      });
    },

    async resume(namespace, id) {
      await locked(namespace, id, "resume", async (whole, sandbox) => {
        await whole.resume(sandbox);
        backToReady(sandbox, log);
      });
    },

    async update(namespace, id, resources) {
      await locked(namespace, id, "update", (whole, sandbox) => whole.update(sandbox, resources));
    },

    async pauseAgain(sandbox) {
      if (sandbox.record.state !== "paused") {
        return;
      }
      try {
        await sandboxer.whole?.pause(sandbox);
      } catch (error) {
        log.warn({ sandbox: sandbox.id, err: errorText(error) }, "a paused sandbox cannot be held");
      }
    },
  };
}

/** Before a sandbox is ended or removed: what is in it can then be ended in order. Where that fails it is ended without. */
export async function resumeIfPaused(
  { sandboxer, log }: Pick<SandboxControlParts, "sandboxer" | "log">,
  sandbox: Sandbox,
): Promise<void> {
  if (sandbox.record.state !== "paused") {
    return;
  }
  try {
    await sandboxer.whole?.resume(sandbox);
  } catch (error) {
    log.warn({ sandbox: sandbox.id, err: errorText(error) }, "a paused sandbox does not go on before its end");
  }
  backToReady(sandbox, log);
}

/** It may have ended meanwhile; then its state says so and stays. */
function backToReady(sandbox: Sandbox, log: Logger): void {
  if (sandbox.record.state === "paused") {
    logUnwritten(log, { sandbox: sandbox.id }, sandbox.note({ state: "ready" }));
  }
}
