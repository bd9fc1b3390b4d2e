import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { grpcService, unaryStub } from "@kuasar/proto/grpc";
import { ContainersService, ContentService, ImagesService } from "@kuasar/proto/services-definitions";
import { errorText, notFound, type SandboxError, unavailable } from "../error/sandbox-error.ts";

/** containerd's services for clients, by its gRPC socket. */
export interface Connection {
  /** Calls of one request and one answer, for one of containerd's namespaces. `what` is for error texts. */
  readonly containers: (namespace: string, what: string) => ReturnType<typeof unaryStub<typeof ContainersService>>;
  readonly images: (namespace: string, what: string) => ReturnType<typeof unaryStub<typeof ImagesService>>;
  /** A blob, in pieces. */
  read(namespace: string, digest: string): AsyncGenerator<Uint8Array>;
}

const CALL_MS = 10_000;
const BLOB_MS = 60_000;

/** Connects at the first call, and again after a loss. All throw NOT_FOUND, or UNAVAILABLE for whatever else is wrong. */
export function connectContainerd(address: string): Connection {
  const client = new Client(`unix:${address.replace(/^unix:\/\//, "")}`, credentials.createInsecure(), {
    // Right after containerd's restart it is asked again soon.
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 1000,
    // It is asked for some images' first containers, and not again for long.
    "grpc.client_idle_timeout_ms": 1000,
  });
  const failure = (error: unknown, what: string): SandboxError => {
    const text = `containerd at ${address}: ${what}: ${errorText(error)}`;
    return (error as { code?: unknown } | null)?.code === status.NOT_FOUND ? notFound(text) : unavailable(text, error);
  };
  const headers = (namespace: string) => {
    const metadata = new Metadata();
    metadata.set("containerd-namespace", namespace);
    return metadata;
  };
  const unary = (namespace: string, what: string) => (path: string, request: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        (bytes: Buffer) => bytes,
        request,
        headers(namespace),
        { deadline: Date.now() + CALL_MS },
        (error, response) => (response ? resolve(response) : reject(failure(error, what))),
      );
    });
  const { path, requestSerialize, responseDeserialize } = grpcService(ContentService).read;

  return {
    containers: (namespace, what) => unaryStub(ContainersService, unary(namespace, what)),
    images: (namespace, what) => unaryStub(ImagesService, unary(namespace, what)),

    async *read(namespace, digest) {
      const request = { digest, offset: 0, size: 0 };
      const options = { deadline: Date.now() + BLOB_MS };
      const stream = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        headers(namespace),
        options,
      );
      // What goes wrong is thrown below; an error that comes later is the end that was asked for.
      stream.on("error", () => undefined);
      try {
        for await (const { data } of stream) yield data as Uint8Array;
      } catch (error) {
        throw failure(error, `content ${digest}`);
      } finally {
        stream.cancel();
      }
    },
  };
}
