import type { FieldsOf, MessageOf, MessageType, Method, Service } from "./message-type.ts";

/** A method in the form of @grpc/grpc-js, for Server.addService and makeGenericClientConstructor. */
export interface GrpcMethod<Input, Output> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (request: FieldsOf<Input>) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => MessageOf<Input>;
  readonly responseSerialize: (response: FieldsOf<Output>) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => MessageOf<Output>;
}

export type GrpcService<S extends Service> = {
  readonly [K in keyof S["methods"]]: S["methods"][K] extends Method<infer Input, infer Output>
    ? GrpcMethod<Input, Output>
    : never;
};

/** A function for each method that is no stream. */
export type UnaryStub<S extends Service> = {
  readonly [K in keyof S["methods"] as S["methods"][K] extends { clientStreaming: true } | { serverStreaming: true }
    ? never
    : K]: S["methods"][K] extends Method<infer Input, infer Output>
    ? (request: FieldsOf<Input>) => Promise<MessageOf<Output>>
    : never;
};

/** "/runtime.v1.RuntimeService/Version" */
export function methodPath(service: Service, method: Method): string {
  return `/${service.name}/${method.name}`;
}

export function grpcService<S extends Service>(service: S): GrpcService<S> {
  const methods: Record<string, GrpcMethod<unknown, unknown>> = {};
  for (const [key, method] of Object.entries(service.methods)) {
    const input = method.input as unknown as MessageType<unknown, never>;
    const output = method.output as unknown as MessageType<unknown, never>;
    methods[key] = {
      path: methodPath(service, method),
      requestStream: method.clientStreaming === true,
      responseStream: method.serverStreaming === true,
      requestSerialize: (request) => asBuffer(input.encode(request)),
      requestDeserialize: (bytes) => input.decode(bytes),
      responseSerialize: (response) => asBuffer(output.encode(response)),
      responseDeserialize: (bytes) => output.decode(bytes),
    };
  }
  return methods as unknown as GrpcService<S>;
}

/** Typed calls over whatever carries bytes to a path and back; streaming methods are left out. */
export function unaryStub<S extends Service>(
  service: S,
  call: (path: string, request: Uint8Array) => Promise<Uint8Array>,
): UnaryStub<S> {
  const stub: Record<string, (request: unknown) => Promise<unknown>> = {};
  for (const [key, method] of Object.entries(service.methods)) {
    if (method.clientStreaming === true || method.serverStreaming === true) continue;
    const input = method.input as unknown as MessageType<unknown, never>;
    stub[key] = async (request) => method.output.decode(await call(methodPath(service, method), input.encode(request)));
  }
  return stub as unknown as UnaryStub<S>;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
