import { Code, createServer, type ServiceDefinition, StatusError } from "ttrpc-ts";
import { createTransportPair } from "ttrpc-ts/memory";
import { conversations, converse } from "../conversation.ts";
import { FramePeer } from "../frame-peer.ts";
import { fuzzTarget } from "../fuzz-target.ts";
import { hex, textOf } from "../hostile.ts";

const bytes = {
  encode: (message: Uint8Array) => message,
  decode(message: Uint8Array) {
    if (message[0] === 0xff) throw new Error("not a message of this test");
    return message;
  },
};
const SERVICE = {
  name: "fuzz",
  methods: {
    echo: { name: "Echo", input: bytes, output: bytes },
    fail: { name: "Fail", input: bytes, output: bytes },
    count: { name: "Count", input: bytes, output: bytes, serverStreaming: true },
    sum: { name: "Sum", input: bytes, output: bytes, clientStreaming: true },
    both: { name: "Both", input: bytes, output: bytes, clientStreaming: true, serverStreaming: true },
  },
} as const satisfies ServiceDefinition;
const PING = { service: "fuzz", method: "Echo", payload: Uint8Array.of(1) };
/** What is answered by data, or when the client has ended its stream. */
const STREAMING = new Set(["Count", "Sum", "Both"]);

/** The ttrpc server of proto/ttrpc-ts, in memory. */
export const ttrpcServer = fuzzTarget({
  name: "ttrpc-server",
  native: false,
  inputs: conversations({
    services: { fuzz: ["Echo", "Fail", "Count", "Sum", "Both"], raw: ["Anything"] },
    payload: hex(30),
  }),
  async open() {
    const faults: unknown[] = [];
    const server = createServer({ onError: (error) => faults.push(error) });
    server.register(SERVICE, {
      echo: (message) => message,
      fail: () => Promise.reject(new StatusError(Code.NOT_FOUND, "as asked")),
      async *count(message) {
        for (const one of message) yield Uint8Array.of(one);
      },
      async sum(messages) {
        let length = 0;
        for await (const message of messages) length += message.length;
        return Uint8Array.of(length);
      },
      async *both(messages) {
        for await (const message of messages) yield message;
      },
    });
    server.registerRaw("raw", (payload) => payload);
    const connect = () => {
      const [ours, theirs] = createTransportPair();
      server.serve(theirs);
      return new FramePeer(ours);
    };
    return {
      async feed(conversation) {
        const peer = connect();
        await converse(
          peer,
          conversation,
          (streamId) => peer.callOn(streamId, PING),
          (step) => !("request" in step) || step.damage !== undefined || STREAMING.has(textOf(step.request.method)),
        );
        peer.close();
        const other = connect();
        const { code } = await other.call(PING);
        if (code !== 0) throw new Error(`the server no longer serves: code ${code}`);
        other.close();
        for (let turn = 0; turn < 50 && server.activeCalls + server.connections > 0; turn++)
          await new Promise(setImmediate);
        if (server.activeCalls > 0) throw new Error(`${server.activeCalls} calls run on without a connection`);
        if (server.connections > 0) throw new Error(`${server.connections} connections are left`);
        for (const fault of faults.splice(0)) if (!(fault instanceof StatusError)) throw fault;
      },
      async close() {
        server.close();
      },
    };
  },
});
