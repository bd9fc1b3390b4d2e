import * as grpc from "@grpc/grpc-js";
import { type UnaryStub, unaryStub } from "@kuasar/proto/grpc";
import { containerd } from "@kuasar/proto/services";
import { ContainersService, EventsService, TasksService } from "@kuasar/proto/services-definitions";

type Envelope = containerd.services.events.v1.Envelope;

/** containerd's own gRPC API (api/services), as its Go client uses it, in one namespace. */
export interface ContainerdApi {
  readonly tasks: UnaryStub<typeof TasksService>;
  readonly containers: UnaryStub<typeof ContainersService>;
  /** Every event of the namespace, from soon after the call on. onEnd: containerd has gone, or the client was closed. */
  subscribe(onEvent: (envelope: Envelope) => void, onEnd?: () => void): void;
  close(): void;
}

/** Long enough for whatever ends by itself, short enough for a run in which something hangs. */
export const CALL_TIMEOUT_MS = 20_000;

export function connectContainerd(socket: string, namespace: string, timeoutMs = CALL_TIMEOUT_MS): ContainerdApi {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure());
  const metadata = () => {
    const fields = new grpc.Metadata();
    fields.set("containerd-namespace", namespace);
    return fields;
  };
  const call = (path: string, request: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      const deadline = Date.now() + timeoutMs;
      client.makeUnaryRequest(
        path,
        asBuffer,
        (bytes) => bytes,
        request,
        metadata(),
        { deadline },
        (error, response?: Uint8Array) =>
          response ? resolve(response) : reject(error ?? new Error(`${path}: no answer and no error`)),
      );
    });
  let events: grpc.ClientReadableStream<Envelope> | undefined;
  return {
    tasks: unaryStub(TasksService, call),
    containers: unaryStub(ContainersService, call),
    subscribe(onEvent, onEnd = () => undefined) {
      const { SubscribeRequest, Envelope } = containerd.services.events.v1;
      events = client.makeServerStreamRequest(
        `/${EventsService.name}/Subscribe`,
        (request: Uint8Array) => asBuffer(request),
        (bytes: Buffer) => Envelope.decode(bytes),
        SubscribeRequest.encode({ filters: [`namespace==${namespace}`] }),
        metadata(),
      );
      events.on("data", onEvent);
      // Ends with the connection; a stream lost before shows as events that never come.
      events.on("error", onEnd);
      events.on("end", onEnd);
    },
    close() {
      events?.cancel();
      client.close();
    },
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
