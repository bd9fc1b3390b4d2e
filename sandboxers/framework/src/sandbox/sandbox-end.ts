import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";
import { logUnwritten } from "../store/unwritten.ts";
import { type SandboxExit, unknownExit } from "./exit.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxRegistry } from "./sandbox-registry.ts";
import type { Sandboxer } from "./sandboxer.ts";

/** Sees to it that a sandbox's end is written down and told. */
export interface SandboxEnd {
  /** Takes note of the end of a sandbox's process, now or at any later time. */
  watch(sandbox: Sandbox): void;
  /** The sandbox has ended so. */
  ended(sandbox: Sandbox, exit: SandboxExit): void;
}

export interface SandboxEndParts {
  readonly sandboxer: Sandboxer;
  readonly registry: SandboxRegistry;
  readonly log: Logger;
}

export function createSandboxEnd({ sandboxer, registry, log }: SandboxEndParts): SandboxEnd {
  function watch(sandbox: Sandbox): void {
    if (sandbox.record.pid === 0) {
      return;
    }
    void sandboxer
      .wait(sandbox)
      .catch((error: unknown) => {
        log.warn({ sandbox: sandbox.id, err: errorText(error) }, "how the sandbox ended cannot be known: status 255");
        if (sandbox.monitor.lost) {
          markOrphaned(sandbox);
        }
        return unknownExit();
      })
      .then((exit) => ended(sandbox, exit));
  }

  function ended(sandbox: Sandbox, { reason, ...exit }: SandboxExit): void {
    if (reason !== undefined) {
      log.warn({ sandbox: sandbox.id, status: exit.status, reason }, "the sandbox has ended by itself");
    }
    if (sandbox.record.state !== "deleting") {
      record(sandbox, { state: "stopped", exit, ...(reason !== undefined && { endReason: reason }) });
    }
    sandbox.exited.resolve(exit);
  }

  function markOrphaned(sandbox: Sandbox): void {
    if (sandbox.record.state !== "deleting") {
      log.warn({ sandbox: sandbox.id }, "the sandbox's monitor died: what is left of the sandbox waits to be removed");
      record(sandbox, { orphaned: true });
    }
  }

  // Nobody has called who could be told: what cannot be written down (a full disk) is logged, and Wait answers all the same.
  function record(sandbox: Sandbox, change: Parameters<Sandbox["update"]>[0]): void {
    if (registry.find(sandbox.namespace, sandbox.id) !== sandbox) {
      return;
    }
    logUnwritten(log, { sandbox: sandbox.id }, sandbox.note(change));
  }

  return { watch, ended };
}
