import type { CallContext, Codec, Implementation, ServiceDefinition } from "../src/index.ts";
import { Code, StatusError } from "../src/index.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/wrappers.proto */
const stringValue: Codec<string> = {
  encode(message) {
    const text = encoder.encode(message);
    const prefix: number[] = text.length > 0 ? [0x0a] : [];
    for (let rest = text.length; rest > 0; rest >>>= 7) {
      prefix.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    }
    const bytes = new Uint8Array(prefix.length + text.length);
    bytes.set(prefix);
    bytes.set(text, prefix.length);
    return bytes;
  },
  decode(bytes) {
    let start = 1;
    while ((bytes[start] ?? 0) > 0x7f) {
      start++;
    }
    return decoder.decode(bytes.subarray(start + 1));
  },
};

function unary<N extends string>(name: N): { name: N; input: Codec<string>; output: Codec<string> } {
  return { name, input: stringValue, output: stringValue };
}

/** The test service that service.go offers too; every message is a google.protobuf.StringValue. */
export const interopService = {
  name: "interop.Test",
  methods: {
    echo: unary("Echo"),
    metadata: unary("Metadata"),
    deadline: unary("Deadline"),
    fail: unary("Fail"),
    block: unary("Block"),
    large: unary("Large"),
    nothing: unary("Nothing"),
    count: { ...unary("Count"), serverStreaming: true },
    join: { ...unary("Join"), clientStreaming: true },
    chat: { ...unary("Chat"), clientStreaming: true, serverStreaming: true },
  },
} as const satisfies ServiceDefinition;

export const interopImplementation: Implementation<typeof interopService> = {
  echo: (message) => message,
  metadata: (_, { metadata }) => JSON.stringify(metadata),
  deadline: (_, { deadline }) => (deadline === undefined ? "none" : String(deadline > Date.now())),
  fail(message) {
    const space = message.indexOf(" ");
    if (space < 0) {
      throw new Error(message);
    }
    throw new StatusError(Number(message.slice(0, space)) as Code, message.slice(space + 1));
  },
  block: (_, { signal }) => untilAborted(signal),
  large: (message) => "x".repeat(Number(message)),
  async *count(message) {
    if (Number.isNaN(Number(message))) {
      throw new StatusError(Code.INVALID_ARGUMENT, `not a number: ${message}`);
    }
    for (let i = 0; i < Number(message); i++) {
      yield String(i);
    }
  },
  async join(messages) {
    const parts: string[] = [];
    for await (const message of messages) {
      parts.push(message);
    }
    return parts.join("+");
  },
  async *chat(messages) {
    for await (const message of messages) {
      yield message.toUpperCase();
    }
  },
};

function untilAborted(signal: CallContext["signal"]): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}
