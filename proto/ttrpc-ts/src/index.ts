export type { CallOptions } from "./call.ts";
export { type CancelSignal, type CancelSource, createCancelSource } from "./cancel.ts";
export { type Client, type ClientOptions, createClient, type StreamOptions } from "./client.ts";
export { MESSAGE_HEADER_LENGTH, MESSAGE_LENGTH_MAX } from "./frame.ts";
export type { Implementation, MethodHandler, RawHandler } from "./handler.ts";
export type { Metadata } from "./metadata.ts";
export { createServer, type Server, type ServerOptions } from "./server.ts";
export type { CallContext } from "./server-call.ts";
export type { Codec, InputOf, MethodDefinition, OutputOf, ServiceDefinition } from "./service.ts";
export {
  asStatusError,
  Code,
  codeName,
  type StatusDetail,
  StatusError,
  type StatusErrorOptions,
} from "./status.ts";
export type { ClientStream } from "./stream.ts";
export {
  type ClientStreamingCall,
  createStub,
  type ServerStreamingCall,
  type StreamingCall,
  type Stub,
} from "./stub.ts";
export type { Transport } from "./transport.ts";
