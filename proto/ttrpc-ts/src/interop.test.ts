import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { interopImplementation, interopService } from "../interop/service.ts";
import { type Client, createClient } from "./client.ts";
import { connect, listen } from "./node.ts";
import { createServer } from "./server.ts";
import { Code, StatusError } from "./status.ts";
import { createStub, type Stub } from "./stub.ts";

const run = promisify(execFile);
const source = fileURLToPath(new URL("../interop", import.meta.url));
const program = fileURLToPath(new URL("../.cache/interop", import.meta.url));

/** Why the Go program cannot be had on this machine, or undefined once it is built. */
async function buildProgram(): Promise<string | undefined> {
  try {
    await run("go", ["version"]);
  } catch {
    return "no Go tool chain on this machine";
  }
  try {
    await run("go", ["mod", "download"], { cwd: source, timeout: 120_000 });
  } catch {
    return "Go's modules cannot be downloaded";
  }
  await run("go", ["build", "-o", program, "."], { cwd: source });
  return undefined;
}

async function outcome(call: Promise<string>): Promise<string> {
  try {
    return await call;
  } catch (error) {
    expect(error).to.be.instanceOf(StatusError);
    return `error ${(error as StatusError).code} ${(error as StatusError).message}`;
  }
}

async function all(messages: AsyncIterable<string>): Promise<string> {
  const parts: string[] = [];
  for await (const message of messages) {
    parts.push(message);
  }
  return parts.join();
}

describe("interoperation with containerd's ttrpc in Go", function () {
  this.timeout(300_000);
  let directory = "";

  before(async function () {
    const missing = await buildProgram();
    if (missing !== undefined) {
      this.test?.parent?.eachTest((test) => {
        test.title += ` (skipped: ${missing})`;
      });
      this.skip();
    }
    directory = mkdtempSync(join(tmpdir(), "ttrpc-"));
  });

  after(() => {
    if (directory !== "") {
      rmSync(directory, { recursive: true });
    }
  });

  it("gives a Go client of this server what a Go server would", async () => {
    const path = join(directory, "ts.sock");
    const server = createServer();
    server.register(interopService, { ...interopImplementation, nothing: undefined });
    const listener = await listen(path, (transport) => server.serve(transport));
    const { stdout } = await run(program, ["client", path]);
    await listener.close();
    server.close();
    expect(JSON.parse(stdout)).to.deep.equal({
      unary: "hello",
      empty: "",
      metadata: '{"key":["a","b"]}',
      "no deadline": "none",
      deadline: "true",
      timeout: "deadline exceeded",
      status: "error 5 no such thing",
      "plain error": "error 2 broken",
      "no method": "error 12 method Nothing",
      "no service": "error 12 service no.Service",
      "oversized request": "error 8 message length 20971550 exceed maximum message size of 4194304",
      "oversized response": "error 8 message length 5000010 exceed maximum message size of 4194304",
      "after oversized": "still here",
      large: "4000000",
      "server stream": "0,1,2",
      "failed stream": "error 3 not a number: x",
      "client stream": "a++c",
      "both ways": "X,Y",
    });
  });

  describe("with a Go server", () => {
    let process: ChildProcess;
    let client: Client;
    let stub: Stub<typeof interopService>;

    before(async () => {
      const path = join(directory, "go.sock");
      process = spawn(program, ["server", path], { stdio: ["ignore", "pipe", "inherit"] });
      if (process.stdout !== null) {
        await once(process.stdout, "data");
      }
      client = createClient(await connect(path));
      stub = createStub(interopService, client);
    });

    after(() => {
      client?.close();
      process?.kill("SIGKILL");
    });

    it("answers this client, with metadata and deadlines", async () => {
      expect(await stub.echo("hello")).to.equal("hello");
      expect(await stub.echo("")).to.equal("");
      expect(await stub.metadata("", { metadata: { Key: ["a", "b"] } })).to.equal('{"key":["a","b"]}');
      expect(await stub.deadline("")).to.equal("none");
      expect(await stub.deadline("", { timeoutMs: 60_000 })).to.equal("true");
      expect(await outcome(stub.block("", { timeoutMs: 20 }))).to.equal("error 4 context deadline exceeded");
    });

    it("gives this client the server's errors", async () => {
      expect(await outcome(stub.fail("5 no such thing"))).to.equal("error 5 no such thing");
      expect(await outcome(stub.fail("broken"))).to.equal("error 2 broken");
      expect(await outcome(stub.nothing(""))).to.equal("error 12 method Nothing");
    });

    it("keeps the connection when a message is too long, either way", async () => {
      const { RESOURCE_EXHAUSTED } = Code;
      expect(await outcome(stub.echo("x".repeat(5 << 20)))).to.match(
        new RegExp(`^error ${RESOURCE_EXHAUSTED} message`),
      );
      expect(await outcome(stub.large("5000000"))).to.match(new RegExp(`^error ${RESOURCE_EXHAUSTED} message length`));
      expect((await stub.large("4000000")).length).to.equal(4_000_000);
    });

    it("streams to and from this client", async () => {
      expect(await all(stub.count("100"))).to.equal(Array.from({ length: 100 }, (_, i) => i).join());
      expect(await outcome(all(stub.count("x")))).to.equal("error 3 not a number: x");
      const joining = stub.join();
      for (const part of ["a", "", "c"]) {
        await joining.send(part);
      }
      expect(await joining.closeAndReceive()).to.equal("a++c");
      const chatting = stub.chat();
      await chatting.send("x");
      expect(await chatting.receive()).to.equal("X");
      chatting.closeSend();
      expect(await chatting.receive()).to.equal(undefined);
    });
  });
});
