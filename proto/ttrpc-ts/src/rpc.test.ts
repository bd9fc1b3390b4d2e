import { expect } from "chai";
import { type Client, createClient } from "./client.ts";
import { createTransportPair, type MemoryTransport } from "./memory.ts";
import { createServer, type Server, type ServerOptions } from "./server.ts";
import type { CallContext } from "./server-call.ts";
import type { Codec, ServiceDefinition } from "./service.ts";
import { Code, StatusError } from "./status.ts";
import { createStub, type Stub } from "./stub.ts";

const text: Codec<string> = {
  encode: (message) => new TextEncoder().encode(message),
  decode: (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
};

const echo = {
  name: "test.Echo",
  methods: {
    echo: { name: "Echo", input: text, output: text },
    missing: { name: "Missing", input: text, output: text },
    count: { name: "Count", input: text, output: text, serverStreaming: true },
    join: { name: "Join", input: text, output: text, clientStreaming: true },
    chat: { name: "Chat", input: text, output: text, clientStreaming: true, serverStreaming: true },
  },
} as const satisfies ServiceDefinition;

interface Setup {
  server: Server;
  client: Client;
  stub: Stub<typeof echo>;
  ends: [MemoryTransport, MemoryTransport];
}

type EchoHandler = (message: string, context: CallContext) => string | Promise<string>;

function setup(onEcho: EchoHandler = (message) => message, options?: ServerOptions): Setup {
  const server = createServer(options);
  server.register(echo, {
    echo: onEcho,
    async *count(message) {
      for (let i = 0; i < Number(message); i++) {
        yield String(i);
      }
      if (message === "fail") {
        yield "first";
        throw new StatusError(Code.ABORTED, "in the middle");
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
  });
  const ends = createTransportPair();
  server.serve(ends[0]);
  const client = createClient(ends[1]);
  return { server, client, stub: createStub(echo, client), ends };
}

async function failure(promise: Promise<unknown>): Promise<StatusError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(StatusError);
  return error as StatusError;
}

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const message of messages) {
    list.push(message);
  }
  return list;
}

const never = (): Promise<never> => new Promise(() => {});

describe("calls", () => {
  it("answer a unary request, an empty one too", async () => {
    const { stub } = setup();
    expect(await stub.echo("hello")).to.equal("hello");
    expect(await stub.echo("")).to.equal("");
  });

  it("stream from the server until it is done", async () => {
    const { stub } = setup();
    expect(await all(stub.count("100"))).to.deep.equal(Array.from({ length: 100 }, (_, i) => String(i)));
    expect(await all(stub.count("0"))).to.deep.equal([]);
  });

  it("give what a server streamed before it failed, then its error", async () => {
    const { stub } = setup();
    const call = stub.count("fail");
    expect(await call.receive()).to.equal("first");
    expect((await failure(call.receive())).message).to.equal("in the middle");
  });

  it("stream from the client and get one answer", async () => {
    const { stub } = setup();
    const call = stub.join();
    for (const part of ["a", "", "c"]) {
      await call.send(part);
    }
    expect(await call.closeAndReceive()).to.equal("a++c");
    expect((await failure(call.send("late"))).code).to.equal(Code.FAILED_PRECONDITION);
  });

  it("stream both ways at a time", async () => {
    const { stub } = setup();
    const call = stub.chat();
    for (const part of ["x", "y"]) {
      await call.send(part);
      expect(await call.receive()).to.equal(part.toUpperCase());
    }
    call.closeSend();
    expect(await call.receive()).to.equal(undefined);
  });

  it("stay within bounds when a stream is read slowly, and lose nothing", async () => {
    const { stub } = setup();
    const call = stub.chat();
    const sending = (async () => {
      for (let i = 0; i < 300; i++) {
        await call.send(`message ${i}`);
      }
      call.closeSend();
    })();
    const received = await all(call);
    await sending;
    expect(received).to.have.length(300);
    expect(received[299]).to.equal("MESSAGE 299");
  });

  it("carry metadata, whose keys are compared in lower case", async () => {
    const { stub } = setup((_, { metadata }) => JSON.stringify(metadata));
    const answer = await stub.echo("", { metadata: { "Containerd-Namespace": ["k8s.io"], many: ["1", "2"] } });
    expect(JSON.parse(answer)).to.deep.equal({ "containerd-namespace": ["k8s.io"], many: ["1", "2"] });
  });

  it("tell the server of the deadline, and nothing of one when there is none", async () => {
    const { stub } = setup((_, context) =>
      "deadline" in context ? String((context.deadline ?? 0) > Date.now()) : "-",
    );
    expect(await stub.echo("", { timeoutMs: 60_000 })).to.equal("true");
    expect(await stub.echo("", { timeoutMs: 1e12 })).to.equal("true");
    expect(await stub.echo("")).to.equal("-");
    expect(await stub.echo("", { timeoutMs: Number.POSITIVE_INFINITY })).to.equal("-");
  });

  it("end with DEADLINE_EXCEEDED when their time is over, on both sides", async () => {
    let aborted: unknown;
    const told = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    const { stub, server } = setup((_, { signal }) => {
      signal.addEventListener("abort", () => {
        expect((signal.reason as StatusError).code).to.equal(Code.DEADLINE_EXCEEDED);
        (aborted as () => void)();
      });
      return never();
    });
    expect((await failure(stub.echo("", { timeoutMs: 5 }))).code).to.equal(Code.DEADLINE_EXCEEDED);
    expect((await failure(stub.echo("", { timeoutMs: 0 }))).code).to.equal(Code.DEADLINE_EXCEEDED);
    expect((await failure(stub.echo("", { timeoutMs: Number.NaN }))).code).to.equal(Code.INVALID_ARGUMENT);
    await told;
    server.close();
  });

  it("end with CANCELLED when their signal aborts, before or after they were sent", async () => {
    const { stub, server, client } = setup(never);
    const controller = new AbortController();
    const pending = failure(stub.echo("", { signal: controller.signal }));
    const stream = client.stream("test.Echo", "Chat", { signal: controller.signal });
    controller.abort();
    expect((await pending).code).to.equal(Code.CANCELLED);
    expect((await failure(stream.receive())).code).to.equal(Code.CANCELLED);
    expect((await failure(stream.send(new Uint8Array(1)))).code).to.equal(Code.CANCELLED);
    expect((await failure(stub.echo("", { signal: controller.signal }))).code).to.equal(Code.CANCELLED);
    server.close();
  });

  it("go on after a late answer to a call that was given up", async () => {
    let answer: (value: string) => void = () => {};
    const { stub } = setup((message) =>
      message === "slow"
        ? new Promise((resolve) => {
            answer = resolve;
          })
        : message,
    );
    await failure(stub.echo("slow", { timeoutMs: 5 }));
    answer("too late");
    expect(await stub.echo("next")).to.equal("next");
  });

  it("get a thrown StatusError as it is, with details, and anything else as UNKNOWN with its text", async () => {
    const reported: unknown[] = [];
    const details = [{ typeUrl: "type.example/t", value: Uint8Array.of(1, 2) }];
    const { stub } = setup(
      (message) => {
        throw message === "status" ? new StatusError(Code.NOT_FOUND, "no such thing", { details }) : new Error(message);
      },
      { onError: (error, context) => reported.push([(error as Error).message, context?.method]) },
    );
    const status = await failure(stub.echo("status"));
    expect([status.code, status.message]).to.deep.equal([Code.NOT_FOUND, "no such thing"]);
    expect(status.details).to.deep.equal(details);
    const other = await failure(stub.echo("broken"));
    expect([other.code, other.message]).to.deep.equal([Code.UNKNOWN, "broken"]);
    expect(reported).to.deep.equal([["broken", "Echo"]]);
  });

  it("get UNIMPLEMENTED in Go's words for what the server does not have", async () => {
    const { stub, client } = setup();
    const method = await failure(stub.missing(""));
    expect([method.code, method.message]).to.deep.equal([Code.UNIMPLEMENTED, "method Missing"]);
    const service = await failure(client.call("no.Service", "Echo", new Uint8Array(0)));
    expect([service.code, service.message]).to.deep.equal([Code.UNIMPLEMENTED, "service no.Service"]);
    expect((await failure(client.call("test.Echo", "toString", new Uint8Array(0)))).code).to.equal(Code.UNIMPLEMENTED);
  });

  it("get INVALID_ARGUMENT for a payload that does not decode", async () => {
    const { client } = setup();
    const unary = await failure(client.call("test.Echo", "Echo", Uint8Array.of(0xff)));
    expect(unary.code).to.equal(Code.INVALID_ARGUMENT);
    const stream = client.stream("test.Echo", "Join");
    await stream.send(Uint8Array.of(0xff));
    expect((await failure(stream.receive())).code).to.equal(Code.INVALID_ARGUMENT);
  });

  it("are forwarded as bytes by a raw handler, which leaves registered methods alone", async () => {
    const { client, server } = setup();
    server.registerRaw("test.Echo", (payload, { service, method }) => {
      expect([service, method]).to.deep.equal(["test.Echo", "Other"]);
      return payload;
    });
    const raw = Uint8Array.of(0xff, 0xfe);
    expect(await client.call("test.Echo", "Other", raw)).to.deep.equal(raw);
    expect((await failure(client.call("test.Echo", "Echo", raw))).code).to.equal(Code.INVALID_ARGUMENT);
    expect(() => server.registerRaw("test.Echo", (payload) => payload)).to.throw(/duplicate service test.Echo/);
    expect(() => server.register(echo, {})).to.throw(/duplicate service test.Echo/);
  });

  it("all get their own answer when ten thousand run at a time", async () => {
    const { stub, server } = setup((message) => Promise.resolve(message), { maxConcurrentCalls: 10_000 });
    const answers = await Promise.all(Array.from({ length: 10_000 }, (_, i) => stub.echo(String(i))));
    expect(answers).to.deep.equal(Array.from({ length: 10_000 }, (_, i) => String(i)));
    expect(server.activeCalls).to.equal(0);
  });

  it("beyond the limit of one connection get RESOURCE_EXHAUSTED, those within it are served", async () => {
    let release: (value: string) => void = () => {};
    const gate = new Promise<string>((resolve) => {
      release = resolve;
    });
    const { stub } = setup(() => gate, { maxConcurrentCalls: 2 });
    const served = [stub.echo("1"), stub.echo("2")];
    expect((await failure(stub.echo("3"))).code).to.equal(Code.RESOURCE_EXHAUSTED);
    release("done");
    expect(await Promise.all(served)).to.deep.equal(["done", "done"]);
    expect(await stub.echo("4")).to.equal("done");
  });
});

describe("a lost connection", () => {
  it("fails pending calls with UNAVAILABLE and tells the owner once", async () => {
    const { stub, client, ends, server } = setup(never);
    let closed = 0;
    client.onClose = () => closed++;
    const pending = failure(stub.echo(""));
    const stream = failure(client.stream("test.Echo", "Chat").receive());
    ends[0].close();
    expect([(await pending).code, (await pending).message]).to.deep.equal([Code.UNAVAILABLE, "ttrpc: closed"]);
    expect((await stream).code).to.equal(Code.UNAVAILABLE);
    expect((await failure(stub.echo(""))).code).to.equal(Code.UNAVAILABLE);
    client.close();
    expect([client.closed, closed, server.connections]).to.deep.equal([true, 1, 0]);
  });

  it("aborts the signals of running handlers, and ends what they read", async () => {
    const server = createServer();
    const [far, near] = createTransportPair();
    const ended = new Promise<unknown>((resolve) => {
      server.register(echo, {
        async join(messages) {
          try {
            return (await all(messages)).join();
          } catch (error) {
            resolve(error);
            throw error;
          }
        },
      });
    });
    server.serve(far);
    const call = createStub(echo, createClient(near)).join();
    await call.send("one");
    near.close();
    expect(((await ended) as StatusError).code).to.equal(Code.CANCELLED);
  });
});

describe("shutting down", () => {
  it("lets running calls finish, refuses new ones with UNAVAILABLE, then closes", async () => {
    let release: (value: string) => void = () => {};
    let entered: () => void = () => {};
    const running = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const { stub, server, client } = setup(() => {
      entered();
      return new Promise((resolve) => {
        release = resolve;
      });
    });
    const first = stub.echo("first");
    await running;
    const done = server.shutdown();
    expect((await failure(stub.echo("second"))).code).to.equal(Code.UNAVAILABLE);
    expect(client.closed).to.equal(false);
    release("finished");
    expect(await first).to.equal("finished");
    await done;
    expect([server.connections, server.activeCalls]).to.deep.equal([0, 0]);
    const [late, other] = createTransportPair();
    server.serve(late);
    expect(late.closed).to.equal(true);
    other.close();
  });

  it("closes what is still running when the grace is over", async () => {
    const { stub, server } = setup(never);
    const pending = failure(stub.echo(""));
    await server.shutdown(5);
    expect((await pending).code).to.equal(Code.UNAVAILABLE);
    expect(server.connections).to.equal(0);
  });

  it("is over at once when nothing is connected", async () => {
    await createServer().shutdown();
  });
});
