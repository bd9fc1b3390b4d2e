import { containerd } from "@kuasar/proto/shim";
import { type CallContext, Code, StatusError } from "ttrpc-ts";
import { remaining } from "./deadline.ts";
import { readRequest } from "./request.ts";
import { evenIfGone } from "./sandbox-calls.ts";
import type { ServiceParts } from "./service-parts.ts";

const SANDBOX = "containerd.runtime.sandbox.v1.Sandbox";

/**
 * containerd.runtime.sandbox.v1.Sandbox (api/runtime/sandbox/v1/sandbox.proto): with sandbox_mode = "shim" containerd
 * makes the pod by this service, and all of it is the sandboxer's to answer.
 */
export interface SandboxService {
  handle(payload: Uint8Array, context: CallContext): Promise<Uint8Array>;
}

export function createSandboxService({ pod, sandboxer, sandboxMetadata, onShutdown }: ServiceParts): SandboxService {
  const requireOwn = (payload: Uint8Array) => {
    // Every request's first field is the sandbox's id.
    const { sandboxId } = readRequest(containerd.runtime.sandbox.v1.StartSandboxRequest, payload);
    if (sandboxId !== pod.sandboxId) {
      throw new StatusError(
        Code.NOT_FOUND,
        `sandbox_id: expected ${pod.sandboxId}, which this shim serves, got ${sandboxId}`,
      );
    }
  };
  return {
    async handle(payload, context) {
      const { method } = context;
      requireOwn(payload);
      switch (method) {
        case "CreateSandbox": {
          const options = { ...remaining(context), metadata: sandboxMetadata };
          const answer = await sandboxer.call(SANDBOX, method, payload, options);
          pod.sandboxApi = true;
          return answer;
        }
        case "WaitSandbox":
          return sandboxer.callUntilAnswered(SANDBOX, method, payload);
        case "StopSandbox":
          return evenIfGone(sandboxer.call(SANDBOX, method, payload, { ...remaining(context), repeatable: true }));
        case "ShutdownSandbox":
          try {
            return await evenIfGone(
              sandboxer.call(SANDBOX, method, payload, { ...remaining(context), repeatable: true }),
            );
          } finally {
            // Whatever came of it, and also where the sandbox was refused and never was: containerd forgets this shim now, and the sandboxer removes what has no shim any more.
            pod.sandboxApi = false;
            onShutdown();
          }
        default:
          return sandboxer.call(SANDBOX, method, payload, {
            ...remaining(context),
            repeatable: method !== "StartSandbox",
          });
      }
    },
  };
}
