import type { CallContext, Metadata } from "ttrpc-ts";
import { failedPrecondition } from "../error/sandbox-error.ts";
import { validateIdentifier } from "../identifier/identifier.ts";

/** What comes beside a request. The keys are containerd's, and the shim's own. */
export interface RequestContext {
  readonly namespace: string;
  /** "" if the caller did not say. */
  readonly sandboxId: string;
  /** "" if the caller brought no monitor. */
  readonly monitorAddress: string;
  /** The socket of the containerd whose pod it is; "" if the caller did not say. */
  readonly containerdAddress: string;
  readonly lone: boolean;
  /** The shim's `delete` command asks: the pod's shim is dead, and what is left shall go. */
  readonly cleanup: boolean;
  /** What the caller has left, 0 for no limit. */
  readonly timeoutMs: number;
}

// What fits the 32 bits that the monitor takes.
const TIMEOUT_MAX_MS = 0x7fff_ffff;

const NAMESPACE = "containerd-namespace-ttrpc";
const SANDBOX_ID = "kuasar-sandbox-id";
const MONITOR_ADDRESS = "kuasar-monitor-address";
const CONTAINERD_ADDRESS = "kuasar-containerd-address";
const CLEANUP = "kuasar-cleanup";
const LONE_CONTAINER = "kuasar-lone-container";

/** FAILED_PRECONDITION without a namespace, as containerd has it; INVALID_ARGUMENT for ids that are none. */
export function requestContext({ metadata, deadline }: CallContext): RequestContext {
  const namespace = first(metadata, NAMESPACE);
  if (namespace === "") {
    throw failedPrecondition("namespace is required");
  }
  validateIdentifier(namespace, "namespace");
  const sandboxId = first(metadata, SANDBOX_ID);
  if (sandboxId !== "") {
    validateIdentifier(sandboxId, "sandbox id");
  }
  return {
    namespace,
    sandboxId,
    monitorAddress: first(metadata, MONITOR_ADDRESS),
    containerdAddress: first(metadata, CONTAINERD_ADDRESS),
    lone: first(metadata, LONE_CONTAINER) === "1",
    cleanup: first(metadata, CLEANUP) === "1",
    timeoutMs: deadline === undefined ? 0 : Math.min(Math.max(1, Math.ceil(deadline - Date.now())), TIMEOUT_MAX_MS),
  };
}

function first(metadata: Metadata, key: string): string {
  return metadata[key]?.[0] ?? "";
}
