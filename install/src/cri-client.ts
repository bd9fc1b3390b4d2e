import * as grpc from "@grpc/grpc-js";
import type { runtime } from "@kuasar/proto/cri";
import { ImageService, RuntimeService } from "@kuasar/proto/cri-definitions";
import { grpcService, type UnaryStub, unaryStub } from "@kuasar/proto/grpc";
import { patience } from "./wait-until.ts";

/** The Container Runtime Interface, runtime.v1 of api.proto (k8s.io/cri-api), over one connection that stays. */
export interface CriClient {
  readonly runtime: UnaryStub<typeof RuntimeService>;
  readonly images: UnaryStub<typeof ImageService>;
  /** GetContainerEvents: each event as it comes, until the returned function is called. */
  onContainerEvent(listener: (event: runtime.v1.ContainerEventResponse) => void): () => void;
  /** Whether the runtime says it can take pods, their network included. Throws where nobody answers. */
  ready(): Promise<boolean>;
  close(): void;
}

export interface CriClientOptions {
  /** A call that takes longer fails with DEADLINE_EXCEEDED. Default: two minutes, as the kubelet's, and more on slow machines. */
  readonly callTimeoutMs?: number;
}

/** Connects at the first call, and again after a loss. Calls fail with grpc-js's ServiceError. */
export function connectCri(socket: string, options: CriClientOptions = {}): CriClient {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": 16 * 1024 * 1024,
    // containerd is back within a second of its restart; grpc's own pace would be seconds.
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 200,
  });
  const callTimeoutMs = options.callTimeoutMs ?? 120_000 * patience;
  const call = (path: string, request: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      const deadline = Date.now() + callTimeoutMs;
      const answer: grpc.requestCallback<Uint8Array> = (error, response) =>
        response ? resolve(response) : reject(error ?? new Error(`${path}: no answer and no error`));
      client.makeUnaryRequest(path, asBuffer, (bytes) => bytes, request, new grpc.Metadata(), { deadline }, answer);
    });
  const runtime = unaryStub(RuntimeService, call);
  return {
    runtime,
    images: unaryStub(ImageService, call),
    onContainerEvent(listener) {
      const { path, requestSerialize, responseDeserialize } = grpcService(RuntimeService).getContainerEvents;
      const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
      stream.on("data", listener);
      // Also how it ends when nobody listens any more; events that are missed show themselves as missing.
      stream.on("error", () => undefined);
      return () => stream.cancel();
    },
    async ready() {
      const conditions = (await runtime.status({})).status?.conditions ?? [];
      return conditions.length > 0 && conditions.every((condition) => condition.status);
    },
    close: () => client.close(),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
