import type { SandboxService } from "@kuasar/proto/definitions";
import type { Implementation } from "ttrpc-ts";
import { invalidArgument } from "../error/sandbox-error.ts";
import { validateIdentifier } from "../identifier/identifier.ts";
import type { Logger } from "../log/logger.ts";
import type { SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";
import type { Sandboxer } from "../sandbox/sandboxer.ts";
import { packMetrics } from "./metrics-any.ts";
import { type RequestContext, requestContext } from "./request-context.ts";
import type { SandboxMetrics } from "./sandbox-metrics.ts";
import { answering } from "./wire-error.ts";
import { toMount, toSandboxOptions } from "./wire-request.ts";

/** `containerd.runtime.sandbox.v1.Sandbox`, as the shim and containerd's own shims speak it. */
export function ttrpcSandboxService(
  sandboxes: SandboxLifecycle,
  sandboxer: Sandboxer,
  metrics: SandboxMetrics,
  log: Logger,
): Implementation<typeof SandboxService> {
  const answer = answering(log);
  return {
    createSandbox: answer(async (request, call) => {
      const context = requestContext(call);
      await sandboxes.create({
        namespace: context.namespace,
        id: idOf(request, context),
        bundle: request.bundlePath,
        rootfs: request.rootfs.map(toMount),
        netnsPath: request.netnsPath,
        monitorAddress: context.monitorAddress,
        containerdAddress: context.containerdAddress,
        lone: context.lone,
        ...toSandboxOptions(request.options),
      });
      return {};
    }),

    startSandbox: answer(async (request, call) => {
      const context = requestContext(call);
      const { pid, createdAt } = await sandboxes.start(context.namespace, idOf(request, context), context.timeoutMs);
      return { pid, createdAt };
    }),

    platform: answer((request, call) => {
      idOf(request, requestContext(call));
      return { platform: { ...sandboxer.platform, variant: "", osVersion: "" } };
    }),

    stopSandbox: answer(async (request, call) => {
      const context = requestContext(call);
      await sandboxes.stop(context.namespace, idOf(request, context), request.timeoutSecs * 1000);
      return {};
    }),

    waitSandbox: answer(async (request, call) => {
      const context = requestContext(call);
      const { status, at } = await sandboxes.wait(context.namespace, idOf(request, context));
      return { exitStatus: status, exitedAt: at };
    }),

    sandboxStatus: answer((request, call) => {
      const context = requestContext(call);
      const sandboxId = idOf(request, context);
      const { pid, state, createdAt, exit, info } = sandboxes.status(context.namespace, sandboxId);
      return {
        sandboxId,
        pid,
        state,
        createdAt,
        exitedAt: exit?.at,
        info: request.verbose ? { ...info } : {},
      };
    }),

    pingSandbox: answer((request, call) => {
      const context = requestContext(call);
      sandboxes.status(context.namespace, idOf(request, context));
      return {};
    }),

    shutdownSandbox: answer(async (request, call) => {
      const context = requestContext(call);
      const id = idOf(request, context);
      if (context.cleanup) {
        await sandboxes.cleanUp(context.namespace, id);
      } else {
        await sandboxes.shutdown(context.namespace, id);
      }
      return {};
    }),

    sandboxMetrics: answer(async (request, call) => {
      const context = requestContext(call);
      const id = idOf(request, context);
      const data = await packMetrics(await metrics.read(context.namespace, id));
      return { metrics: { timestamp: metrics.now(), id, data } };
    }),
  };
}

function idOf({ sandboxId }: { sandboxId: string }, context: RequestContext): string {
  if (sandboxId === "" && context.sandboxId !== "") {
    return context.sandboxId;
  }
  validateIdentifier(sandboxId, "sandbox id");
  if (context.sandboxId !== "" && context.sandboxId !== sandboxId) {
    throw invalidArgument(`the request is for sandbox ${sandboxId}, its metadata for ${context.sandboxId}`);
  }
  return sandboxId;
}
