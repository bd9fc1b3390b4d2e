import { containerd } from "@kuasar/proto/shim";
import { Code, type Metadata, StatusError } from "ttrpc-ts";
import type { SandboxerConnection } from "./sandboxer-connection.ts";

const api = containerd.runtime.sandbox.v1;
const SANDBOX = "containerd.runtime.sandbox.v1.Sandbox";

/** What whoever asked has left; without it there is no limit. */
export interface TimeLimit {
  readonly timeoutMs?: number;
}

/** The Sandbox API calls that the life of a pause container, or of a container with no pod, becomes. */
export interface SandboxCalls {
  create(
    request: containerd.runtime.sandbox.v1.ICreateSandboxRequest,
    metadata: Metadata,
    limit: TimeLimit,
  ): Promise<void>;
  /** The pid whose namespaces are the pod's; 0 for a sandbox without any. */
  start(sandboxId: string, limit: TimeLimit): Promise<number>;
  /** Removes whatever there is of it. */
  shutdown(sandboxId: string, timeoutMs?: number): Promise<void>;
}

export function createSandboxCalls(sandboxer: SandboxerConnection): SandboxCalls {
  return {
    async create(request, metadata, limit) {
      const payload = api.CreateSandboxRequest.encode(request);
      await sandboxer.call(SANDBOX, "CreateSandbox", payload, { metadata, ...limit });
    },
    async start(sandboxId, limit) {
      const payload = api.StartSandboxRequest.encode({ sandboxId });
      const answer = await sandboxer.call(SANDBOX, "StartSandbox", payload, limit);
      return api.StartSandboxResponse.decode(answer).pid;
    },
    async shutdown(sandboxId, timeoutMs) {
      const request = api.ShutdownSandboxRequest.encode({ sandboxId });
      const options = { repeatable: true, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
      await evenIfGone(sandboxer.call(SANDBOX, "ShutdownSandbox", request, options));
    },
  };
}

/**
 * A sandboxer that was killed over a removal goes on with it when it is back: to whoever asks again the sandbox is gone,
 * which is what they wanted.
 */
export async function evenIfGone(removal: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await removal;
  } catch (error) {
    if (error instanceof StatusError && error.code === Code.NOT_FOUND) return new Uint8Array(0);
    throw error;
  }
}
