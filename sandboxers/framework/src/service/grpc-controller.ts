import type { Deadline, handleUnaryCall, Metadata, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { containerd } from "@kuasar/proto/containerd";
import { errorText, failedPrecondition, SandboxError } from "../error/sandbox-error.ts";
import { validateIdentifier } from "../identifier/identifier.ts";
import type { Logger } from "../log/logger.ts";
import type { Domain } from "../server/domain.ts";
import { packMetrics } from "./metrics-any.ts";
import { toMount, toSandboxOptions } from "./wire-request.ts";

type Wire = typeof containerd.services.sandbox.v1;
type Message<K extends keyof Wire> = Wire[K] extends { decode(bytes: Uint8Array): infer M } ? M : never;

const INTERNAL = 13;
const TASK_API_VERSION = 3;

/**
 * `containerd.services.sandbox.v1.Controller`, in 1.7's form and with containerd 2's additions: the metrics, and where
 * the tasks of a sandbox are asked for, which is this same socket by ttrpc.
 */
export function grpcController(domain: Domain, socket: string, log: Logger): UntypedServiceImplementation {
  const { sandboxes, sandboxer, metrics } = domain;
  const endpoint = { address: `ttrpc+unix://${socket}`, version: TASK_API_VERSION };

  function answer<I extends { sandboxId: string }, O>(
    method: string,
    handle: (request: I, namespace: string, timeoutMs: number) => O | Promise<O>,
  ): handleUnaryCall<I, O> {
    return (call, reply) => {
      void (async () => {
        validateIdentifier(call.request.sandboxId, "sandbox id");
        return await handle(call.request, namespaceOf(call.metadata), timeLeft(call.getDeadline()));
      })().then(
        (response) => reply(null, response),
        (error: unknown) => {
          const code = error instanceof SandboxError ? error.code : INTERNAL;
          log.info({ method, code, err: errorText(error) }, "refused");
          reply({ code, details: errorText(error) });
        },
      );
    };
  }

  return {
    create: answer("Create", async (request: Message<"ControllerCreateRequest">, namespace) => {
      await sandboxes.create({
        namespace,
        id: request.sandboxId,
        bundle: "",
        rootfs: request.rootfs.map(toMount),
        netnsPath: request.netnsPath,
        monitorAddress: "",
        containerdAddress: "",
        lone: false,
        ...toSandboxOptions(request.options),
      });
      return { sandboxId: request.sandboxId };
    }),

    start: answer("Start", async ({ sandboxId }: Message<"ControllerStartRequest">, namespace, timeoutMs) => {
      const { pid, createdAt } = await sandboxes.start(namespace, sandboxId, timeoutMs);
      return { sandboxId, pid, createdAt, labels: {}, ...endpoint };
    }),

    platform: answer("Platform", () => ({ platform: sandboxer.platform })),

    stop: answer("Stop", async ({ sandboxId, timeoutSecs }: Message<"ControllerStopRequest">, namespace) => {
      await sandboxes.stop(namespace, sandboxId, timeoutSecs * 1000);
      return {};
    }),

    wait: answer("Wait", async ({ sandboxId }: Message<"ControllerWaitRequest">, namespace) => {
      const { status, at } = await sandboxes.wait(namespace, sandboxId);
      return { exitStatus: status, exitedAt: at };
    }),

    status: answer("Status", ({ sandboxId, verbose }: Message<"ControllerStatusRequest">, namespace) => {
      const { pid, state, createdAt, exit, info } = sandboxes.status(namespace, sandboxId);
      return { sandboxId, pid, state, info: verbose ? info : {}, createdAt, exitedAt: exit?.at, ...endpoint };
    }),

    shutdown: answer("Shutdown", async ({ sandboxId }: Message<"ControllerShutdownRequest">, namespace) => {
      await sandboxes.shutdown(namespace, sandboxId);
      return {};
    }),

    metrics: answer("Metrics", async ({ sandboxId }: Message<"ControllerMetricsRequest">, namespace) => {
      const data = await packMetrics(await metrics.read(namespace, sandboxId));
      return { metrics: { id: sandboxId, timestamp: metrics.now(), data } };
    }),

    // What can be changed of a running sandbox is containerd's to keep: there is nothing to do here.
    update: answer("Update", ({ sandboxId }: Message<"ControllerUpdateRequest">, namespace) => {
      sandboxes.status(namespace, sandboxId);
      return {};
    }),
  };
}

/** Milliseconds that a caller has left; 0 where there is no limit. */
function timeLeft(deadline: Deadline): number {
  const left = Number(deadline) - Date.now();
  return left === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.ceil(left));
}

function namespaceOf(metadata: Metadata): string {
  const [namespace] = metadata.get("containerd-namespace");
  if (namespace === undefined || namespace === "") {
    throw failedPrecondition("namespace is required");
  }
  validateIdentifier(String(namespace), "namespace");
  return String(namespace);
}
