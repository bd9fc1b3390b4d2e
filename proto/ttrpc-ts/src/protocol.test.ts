import { expect } from "chai";
import fc from "fast-check";
import { createClient } from "./client.ts";
import { createFrameDecoder } from "./decoder.ts";
import { decodeResponse, encodeRequest, encodeResponse } from "./envelope.ts";
import { allocateFrame, encodeData, Flag, MESSAGE_LENGTH_MAX, MessageType, WRITE_HIGH_WATER_BYTES } from "./frame.ts";
import { createTransportPair, type MemoryTransport } from "./memory.ts";
import { createServer, type Server, type ServerOptions } from "./server.ts";
import type { Codec, ServiceDefinition } from "./service.ts";
import { Code, StatusError } from "./status.ts";

const bytes: Codec<Uint8Array> = { encode: (message) => message, decode: (message) => message };
const service = {
  name: "s",
  methods: {
    echo: { name: "Echo", input: bytes, output: bytes },
    wait: { name: "Wait", input: bytes, output: bytes },
    large: { name: "Large", input: bytes, output: bytes },
    flood: { name: "Flood", input: bytes, output: bytes, serverStreaming: true },
    swallow: { name: "Swallow", input: bytes, output: bytes, clientStreaming: true },
    ignore: { name: "Ignore", input: bytes, output: bytes, clientStreaming: true },
  },
} as const satisfies ServiceDefinition;

const CHUNK = 64 << 10;

interface Peer {
  server: Server;
  transport: MemoryTransport;
  /** How many answers the server has begun, and messages it has produced. */
  produced: { messages: number };
  errors: string[];
  /** The next frame from the server, as "stream type flags" and the status, if it is one. */
  next(): Promise<string>;
}

/** A server with a peer that writes frames by hand. */
function serve(options: ServerOptions = {}): Peer {
  const errors: string[] = [];
  const server = createServer({ onError: (error) => errors.push((error as Error).message), ...options });
  const produced = { messages: 0 };
  server.register(service, {
    echo: (message) => {
      produced.messages++;
      return message;
    },
    wait: () => new Promise(() => {}),
    large: () => new Uint8Array(MESSAGE_LENGTH_MAX + 1),
    async *flood() {
      for (; produced.messages < 10_000; produced.messages++) {
        yield new Uint8Array(CHUNK);
      }
    },
    async swallow(messages) {
      let length = 0;
      for await (const message of messages) {
        length += message.length;
      }
      return Uint8Array.of(length);
    },
    ignore: () => new Promise(() => {}),
  });
  const [far, transport] = createTransportPair();
  server.serve(far);
  const waiting: ((frame: string) => void)[] = [];
  const frames: string[] = [];
  const push = (frame: string): void => {
    const waiter = waiting.shift();
    if (waiter === undefined) {
      frames.push(frame);
    } else {
      waiter(frame);
    }
  };
  const decoder = createFrameDecoder(
    {
      onFrame(type, flags, streamId, message) {
        const status = type === MessageType.RESPONSE ? decodeResponse(message).status : undefined;
        push(`${streamId} ${type} ${flags}${status === undefined ? "" : ` ${status.code} ${status.message}`}`);
      },
      onOversized: (type, streamId) => push(`oversized ${type} ${streamId}`),
      onNonsense: (reason) => push(reason),
    },
    MESSAGE_LENGTH_MAX,
  );
  transport.onData = (chunk) => decoder.push(chunk);
  transport.onClose = () => push("closed");
  const next = (): Promise<string> =>
    new Promise((resolve) => {
      const frame = frames.shift();
      if (frame === undefined) {
        waiting.push(resolve);
      } else {
        resolve(frame);
      }
    });
  return { server, transport, produced, errors, next };
}

function request(streamId: number, method: string, flags = 0, payload = new Uint8Array(0)): Uint8Array {
  const message = { service: "s", method, payload, timeoutNano: 0, metadata: {} };
  return encodeRequest(streamId, flags, message, Number.MAX_SAFE_INTEGER);
}

async function turns(count = 50): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a server", () => {
  it("refuses stream ids that are even, used before or going backwards, and serves on", async () => {
    const { transport, next } = serve();
    transport.write(request(2, "Echo"));
    expect(await next()).to.equal("2 2 0 3 StreamID must be odd for client initiated streams");
    transport.write(request(5, "Echo"));
    expect(await next()).to.equal("5 2 0");
    for (const id of [5, 3]) {
      transport.write(request(id, "Echo"));
      expect(await next()).to.equal(`${id} 2 0 3 StreamID cannot be re-used and must increment`);
    }
    transport.write(request(7, "Echo"));
    expect(await next()).to.equal("7 2 0");
  });

  it("refuses data where no stream is open, and a request that does not decode", async () => {
    const { transport, next } = serve();
    transport.write(encodeData(1, 0, Uint8Array.of(1)));
    expect(await next()).to.equal("1 2 0 3 StreamID is no longer active");
    const broken = allocateFrame(MessageType.REQUEST, 0, 3, 1);
    broken[10] = 0xff;
    transport.write(broken);
    expect(await next()).to.equal("3 2 0 3 unmarshal request error: protobuf: truncated varint");
  });

  it("ends a unary call that is sent data, and one whose data comes after its end", async () => {
    const { transport, next } = serve();
    transport.write(request(1, "Wait"));
    transport.write(encodeData(1, 0, Uint8Array.of(1)));
    expect(await next()).to.equal("1 2 0 3 data handling error: method Wait takes no stream");
    transport.write(request(3, "Ignore", Flag.REMOTE_OPEN));
    transport.write(encodeData(3, Flag.REMOTE_CLOSED | Flag.NO_DATA));
    transport.write(encodeData(3, 0, Uint8Array.of(1)));
    expect(await next()).to.equal("3 2 0 3 data handling error: ttrpc: stream closed");
    transport.write(request(5, "Ignore", Flag.REMOTE_OPEN));
    transport.write(encodeData(5, Flag.REMOTE_CLOSED, Uint8Array.of(1)));
    expect(await next()).to.equal("5 2 0 3 data close message cannot include data");
  });

  it("leaves message types it does not know to later versions of the protocol", async () => {
    const { transport, next } = serve();
    transport.write(allocateFrame(9, 0, 1, 100));
    transport.write(request(1, "Echo"));
    expect(await next()).to.equal("1 2 0");
  });

  it("closes a connection that speaks something else, and says why", async () => {
    const { transport, next, errors, server } = serve();
    transport.write(new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    expect(await next()).to.equal("closed");
    await turns();
    expect(errors[0]).to.match(/^protocol error: not a ttrpc frame/);
    expect(server.connections).to.equal(0);
    const other = serve();
    other.transport.write(encodeResponse(1, new Uint8Array(0), 10));
    expect(await other.next()).to.equal("closed");
  });

  it("answers an oversized message with RESOURCE_EXHAUSTED and keeps the connection", async () => {
    const { transport, next } = serve();
    const payload = new Uint8Array(MESSAGE_LENGTH_MAX);
    transport.write(request(1, "Echo", 0, payload));
    expect(await next()).to.match(/^1 2 0 8 message length \d+ exceed maximum message size of 4194304$/);
    transport.write(request(3, "Ignore", Flag.REMOTE_OPEN));
    transport.write(encodeData(3, 0, new Uint8Array(MESSAGE_LENGTH_MAX + 1)));
    expect(await next()).to.match(/^3 2 0 8 message length 4194305 exceed/);
    transport.write(request(5, "Large"));
    expect(await next()).to.match(/^5 2 0 8 message length \d+ exceed/);
    transport.write(request(7, "Echo"));
    expect(await next()).to.equal("7 2 0");
  });

  it("survives any garbage, in any chunks", async () => {
    const header = fc
      .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 9 }), fc.nat({ max: 4 }), fc.nat({ max: 7 }))
      .map(([length, id, type, flags]) => Uint8Array.of(0, 0, 0, length, 0, 0, 0, id, type, flags));
    const chunks = fc.array(fc.oneof(header, fc.uint8Array({ maxLength: 40 })), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(chunks, async (garbage) => {
        const { transport, server } = serve();
        for (const chunk of garbage) {
          transport.write(chunk);
        }
        await turns(2);
        server.close();
        expect(server.connections).to.equal(0);
      }),
    );
  });

  it("stops reading from a peer that does not read its answers, and goes on when it does", async () => {
    const { transport, produced, next } = serve();
    transport.pause();
    const count = 40;
    for (let i = 0; i < count; i++) {
      transport.write(request(2 * i + 1, "Echo", 0, new Uint8Array(CHUNK)));
    }
    await turns();
    expect(produced.messages).to.be.below(WRITE_HIGH_WATER_BYTES / CHUNK + 2);
    expect(transport.buffered).to.be.above(count * CHUNK * 0.7);
    transport.resume();
    for (let i = 0; i < count; i++) {
      expect(await next()).to.equal(`${2 * i + 1} 2 0`);
    }
  });

  it("stops producing a stream for a peer that does not read it", async () => {
    const { transport, produced, server } = serve();
    transport.pause();
    transport.write(request(1, "Flood", Flag.REMOTE_CLOSED));
    await turns();
    expect(produced.messages).to.be.below(WRITE_HIGH_WATER_BYTES / CHUNK + 2);
    transport.close();
    await turns();
    expect(server.activeCalls).to.equal(0);
  });

  it("stops reading when a handler does not read its stream, and goes on when the call is over", async () => {
    const { transport, next } = serve();
    transport.write(request(1, "Ignore", Flag.REMOTE_OPEN));
    for (let i = 0; i < 100; i++) {
      transport.write(encodeData(1, 0, new Uint8Array(CHUNK)));
    }
    await turns();
    expect(transport.buffered).to.be.above(80 * CHUNK);
    transport.close();
    expect(await next()).to.equal("closed");
  });

  it("holds no more request bytes for running calls than its limit", async () => {
    const { transport, next } = serve({ maxMessageBytes: 1024 });
    for (let i = 0; i < 20; i++) {
      transport.write(request(2 * i + 1, "Wait", 0, new Uint8Array(1000)));
    }
    expect(await next()).to.match(/^33 2 0 8 requests running on one connection hold too much/);
  });
});

describe("a client", () => {
  it("refuses to send an oversized message, and keeps the connection", async () => {
    const [near, far] = createTransportPair();
    const client = createClient(near);
    const server = createServer();
    server.registerRaw("s", (payload) => payload);
    server.serve(far);
    const refused = await client.call("s", "Echo", new Uint8Array(MESSAGE_LENGTH_MAX)).catch((error: unknown) => error);
    expect((refused as StatusError).code).to.equal(Code.RESOURCE_EXHAUSTED);
    expect(near.buffered).to.equal(0);
    expect(await client.call("s", "Echo", Uint8Array.of(1))).to.deep.equal(Uint8Array.of(1));
  });

  it("fails only the call whose answer is oversized or undecodable", async () => {
    const [near, far] = createTransportPair();
    const client = createClient(near);
    far.onData = () => {};
    const codes = [1, 2, 3].map(() =>
      client.call("s", "Echo", new Uint8Array(0)).then(
        () => Code.OK,
        (error: StatusError) => error.code,
      ),
    );
    far.write(allocateFrame(MessageType.RESPONSE, 0, 1, MESSAGE_LENGTH_MAX + 1));
    const broken = allocateFrame(MessageType.RESPONSE, 0, 3, 1);
    broken[10] = 0xff;
    far.write(broken);
    far.write(encodeData(5, 0));
    expect(await Promise.all(codes)).to.deep.equal([Code.RESOURCE_EXHAUSTED, Code.INTERNAL, Code.INTERNAL]);
    expect(client.closed).to.equal(false);
  });

  it("closes the connection to a server that answers what was never asked", async () => {
    const [near, far] = createTransportPair();
    const client = createClient(near);
    const pending = client.call("s", "Echo", new Uint8Array(0)).catch((error: unknown) => error);
    far.write(encodeResponse(99, new Uint8Array(0), 10));
    const error = (await pending) as StatusError;
    expect([error.code, client.closed]).to.deep.equal([Code.UNAVAILABLE, true]);
    expect(error.message).to.equal("ttrpc: closed: protocol error: message on stream 99, which was never opened");
  });

  it("survives any garbage", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), async (garbage) => {
        const [near, far] = createTransportPair();
        const client = createClient(near);
        const pending = client.call("s", "Echo", new Uint8Array(0)).catch((error: unknown) => error);
        for (const chunk of garbage) {
          far.write(chunk);
        }
        await turns(1);
        client.close();
        expect(await pending).to.satisfy((end: unknown) => end instanceof StatusError || end instanceof Uint8Array);
      }),
    );
  });
});
