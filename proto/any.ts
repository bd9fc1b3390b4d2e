import type { MessageType } from "./message-type.ts";

/** google.protobuf.Any: a message, or JSON, and what it is. */
export interface Any {
  typeUrl: string;
  value: Uint8Array;
}

/**
 * Type URLs of the OCI's JSON documents, as containerd registers them. Messages go by their bare full name instead:
 * neither has protobuf's usual type.googleapis.com/ before it.
 * https://pkg.go.dev/github.com/containerd/typeurl/v2
 */
export const OciTypeUrl = {
  spec: "types.containerd.io/opencontainers/runtime-spec/1/Spec",
  process: "types.containerd.io/opencontainers/runtime-spec/1/Process",
  linuxResources: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
  windowsResources: "types.containerd.io/opencontainers/runtime-spec/1/WindowsResources",
} as const;

const UPSTREAM_PREFIX = "type.googleapis.com/";

/** Packs a message under its bare full name. */
export function packAny<Fields, Message>(type: MessageType<Fields, Message>, message: Fields): Any {
  return { typeUrl: type.typeName, value: type.encode(message) };
}

/** Whether the Any holds this message; callers that are not containerd may put type.googleapis.com/ before its name. */
export function holds(any: Any, type: { readonly typeName: string }): boolean {
  const { typeUrl } = any;
  return typeUrl === type.typeName || typeUrl === UPSTREAM_PREFIX + type.typeName;
}

/** Throws an Error with both types if the Any holds something else, and the codec's if its bytes are damaged. */
export function unpackAny<Message>(any: Any, type: { readonly typeName: string; decode(bytes: Uint8Array): Message }) {
  if (!holds(any, type)) throw new Error(`expected ${type.typeName} in an Any, got "${any.typeUrl}"`);
  return type.decode(any.value);
}
