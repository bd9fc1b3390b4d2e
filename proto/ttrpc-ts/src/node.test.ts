import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer as createNetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { createClient } from "./client.ts";
import { connect, type Listener, listen, nodeTransport } from "./node.ts";
import { createServer, type Server } from "./server.ts";
import { Code, StatusError } from "./status.ts";

async function failure(promise: Promise<unknown>): Promise<StatusError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(StatusError);
  return error as StatusError;
}

describe("a unix socket", () => {
  let directory = "";
  let path = "";
  let server: Server;
  let listener: Listener | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "ttrpc-"));
    path = join(directory, "test.sock");
    server = createServer();
    server.registerRaw("s", (payload) => payload);
  });

  afterEach(async () => {
    server.close();
    await listener?.close();
    listener = undefined;
    rmSync(directory, { recursive: true });
  });

  it("carries messages of any size, many at a time", async () => {
    listener = await listen(path, (transport) => server.serve(transport));
    const client = createClient(await connect(path));
    const sizes = [0, 1, 1000, 65_536, 4_000_000, 3, 2_000_000];
    const answers = await Promise.all(sizes.map((size) => client.call("s", "Echo", new Uint8Array(size).fill(7))));
    expect(answers.map((answer) => answer.length)).to.deep.equal(sizes);
    expect(answers.every((answer) => answer.every((byte) => byte === 7))).to.equal(true);
    client.close();
  });

  it("is its owner’s alone, or has the mode it was asked for", async () => {
    listener = await listen(path, (transport) => server.serve(transport));
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    await listener.close();
    listener = await listen(path, (transport) => server.serve(transport), { mode: 0o660 });
    expect(statSync(path).mode & 0o777).to.equal(0o660);
  });

  it("is replaced when its listener is gone, and refused while there is one", async () => {
    listener = await listen(path, (transport) => server.serve(transport));
    expect((await failure(listen(path, () => {}))).code).to.equal(Code.ALREADY_EXISTS);
    await listener.close();
    expect((await failure(connect(path))).code).to.equal(Code.UNAVAILABLE);
    writeFileSync(path, "not a socket");
    expect((await failure(listen(path, () => {}))).code).to.equal(Code.ALREADY_EXISTS);
    listener = undefined;
  });

  it("has a path that fits, or is refused before it is cut short", async () => {
    const long = join(directory, "x".repeat(120));
    expect((await failure(connect(long))).code).to.equal(Code.INVALID_ARGUMENT);
    expect((await failure(listen(long, () => {}))).code).to.equal(Code.INVALID_ARGUMENT);
  });

  it("tells both ends when it closes", async () => {
    const idle = new Promise<void>((resolve) => {
      server.onIdle = resolve;
    });
    listener = await listen(path, (transport) => server.serve(transport));
    const client = createClient(await connect(path));
    await client.call("s", "Echo", new Uint8Array(1));
    client.close();
    await idle;
    const other = createClient(await connect(path));
    const closed = new Promise<void>((resolve) => {
      other.onClose = () => resolve();
    });
    await other.call("s", "Echo", new Uint8Array(1));
    await server.shutdown();
    await closed;
  });

  it("can be handed over after somebody has read its first chunk", async () => {
    const sniffer = createNetServer((socket: Socket) => {
      socket.once("data", (chunk: Buffer) => {
        socket.pause();
        setImmediate(() => server.serve(nodeTransport(socket, chunk)));
      });
    });
    await new Promise<void>((resolve) => sniffer.listen(path, resolve));
    const client = createClient(await connect(path));
    const answers = await Promise.all([1, 2, 1_000_000].map((size) => client.call("s", "Echo", new Uint8Array(size))));
    expect(answers.map((answer) => answer.length)).to.deep.equal([1, 2, 1_000_000]);
    client.close();
    await new Promise((resolve) => sniffer.close(resolve));
  });

  it("does not grow the server when the client never reads", async () => {
    let connections = 0;
    const transports: { readonly buffered: number }[] = [];
    listener = await listen(path, (transport) => {
      connections++;
      transports.push(transport);
      server.serve(transport);
    });
    const transport = await connect(path);
    const client = createClient(transport);
    transport.pause();
    const calls = Array.from({ length: 200 }, () => client.call("s", "Echo", new Uint8Array(100_000)));
    for (let i = 0; i < 100; i++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connections).to.equal(1);
    expect(transports[0]?.buffered).to.be.below(1_000_000);
    transport.resume();
    expect((await Promise.all(calls)).length).to.equal(200);
    client.close();
  });
});
