import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect as connectSocket, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials, Metadata, makeGenericClientConstructor } from "@grpc/grpc-js";
import { ControllerService, SandboxService, TaskService } from "@kuasar/proto/definitions";
import { grpcService } from "@kuasar/proto/grpc";
import { expect } from "chai";
import { createClient, createStub } from "ttrpc-ts";
import { connect } from "ttrpc-ts/node";
import { silentLogger } from "../log/logger.ts";
import { createNodeFixture, NAMESPACE, type NodeFixture } from "../testing/node-fixture.ts";
import { rejects } from "../testing/rejects.ts";
import { createFront } from "./front.ts";
import { createGrpcServer } from "./grpc-server.ts";
import { createTtrpcServer } from "./ttrpc-server.ts";
import { listenOnUnixSocket } from "./unix-listener.ts";

describe("the sandboxer's socket", () => {
  let node: NodeFixture;
  let folder: string;
  let path: string;
  let listener: Server;
  let grpcLoads = 0;
  const clients: { close(): void }[] = [];

  beforeEach(async () => {
    node = await createNodeFixture();
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
    path = join(folder, "s.sock");
    grpcLoads = 0;
    const ttrpc = createTtrpcServer(node.domain, silentLogger);
    const front = createFront(
      ttrpc,
      async () => {
        grpcLoads++;
        return createGrpcServer(node.domain, path, silentLogger);
      },
      silentLogger,
    );
    listener = await listenOnUnixSocket(path, front);
    clients.push({ close: () => ttrpc.close() });
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) {
      client.close();
    }
    listener.close();
    rmSync(folder, { recursive: true });
    await node.close();
  });

  const ttrpcClient = async () => {
    const client = createClient(await connect(path));
    clients.push(client);
    return client;
  };

  const controller = () => {
    const Client = makeGenericClientConstructor(grpcService(ControllerService), "Controller");
    const client = new Client(`unix:${path}`, credentials.createInsecure());
    clients.push(client);
    const metadata = new Metadata();
    metadata.set("containerd-namespace", NAMESPACE);
    return (method: string, request: object) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        const call = client[method] as unknown as (
          request: object,
          metadata: Metadata,
          reply: (error: Error | null, response: Record<string, unknown>) => void,
        ) => void;
        call.call(client, request, metadata, (error, response) => (error ? reject(error) : resolve(response)));
      });
  };

  const metadata = {
    "containerd-namespace-ttrpc": [NAMESPACE],
    "kuasar-sandbox-id": ["pod"],
    get "kuasar-monitor-address"() {
      return [node.monitor.address];
    },
  };

  it("serves both protocols, and one sandbox is the same by either", async () => {
    const client = await ttrpcClient();
    const sandbox = createStub(SandboxService, client);
    const request = { sandboxId: "pod", bundlePath: "", rootfs: [], netnsPath: "", annotations: {} };
    await sandbox.createSandbox(request, { metadata });
    expect(grpcLoads).to.equal(0);
    const call = controller();
    const started = await call("start", { sandboxId: "pod" });
    expect(started).to.include({ sandboxId: "pod", address: `ttrpc+unix://${path}`, version: 3 });
    expect(grpcLoads).to.equal(1);
    const status = await sandbox.sandboxStatus({ sandboxId: "pod", verbose: true }, { metadata });
    expect(status).to.include({ pid: started.pid, state: "SANDBOX_READY" });
    const waiting = call("wait", { sandboxId: "pod" });
    await call("stop", { sandboxId: "pod", timeoutSecs: 0 });
    expect(await waiting).to.include({ exitStatus: 137 });
    await call("shutdown", { sandboxId: "pod" });
    await rejects(sandbox.pingSandbox({ sandboxId: "pod" }, { metadata }), 5, /does not exist/);
    await rejects(call("status", { sandboxId: "pod" }), 5, /does not exist/);
  });

  it("runs tasks in a sandbox", async () => {
    const client = await ttrpcClient();
    const { sandboxes } = node.domain;
    await sandboxes.create(node.sandboxRequest("pod"));
    await sandboxes.start(NAMESPACE, "pod", 0);
    const task = createStub(TaskService, client);
    const { bundle } = node.taskRequest("c1", "sleep 0.2; exit 9");
    const io = { stdin: "", stdout: "", stderr: "", terminal: false };
    const create = { id: "c1", bundle, rootfs: [], ...io, checkpoint: "", parentCheckpoint: "" };
    await task.create(create, { metadata });
    await task.start({ id: "c1", execId: "" }, { metadata });
    expect(await task.wait({ id: "c1", execId: "" }, { metadata })).to.include({ exitStatus: 9 });
    // Without the sandbox's id, which only our shim sends, the task is found by its own.
    const { "kuasar-sandbox-id": _, ...plain } = metadata;
    expect(await task.delete({ id: "c1", execId: "" }, { metadata: plain })).to.include({ exitStatus: 9 });
    // The sandbox itself answers as the pause container's task.
    const pause = await task.state({ id: "pod", execId: "" }, { metadata });
    expect(pause).to.include({ status: 2, pid: sandboxes.status(NAMESPACE, "pod").pid });
    expect((await task.pids({ id: "pod" }, { metadata })).processes).to.have.length(1);
  });

  it("needs a containerd namespace with every call", async () => {
    const sandbox = createStub(SandboxService, await ttrpcClient());
    await rejects(sandbox.pingSandbox({ sandboxId: "pod" }), 9, /namespace is required/);
    const bad = { "containerd-namespace-ttrpc": ["../x"] };
    await rejects(sandbox.pingSandbox({ sandboxId: "pod" }, { metadata: bad }), 3, /namespace/);
    await rejects(sandbox.pingSandbox({ sandboxId: "other" }, { metadata }), 3, /its metadata for pod/);
  });

  it("closes a connection that speaks neither, and lives on", async () => {
    const closed = await new Promise<boolean>((resolve) => {
      const socket = connectSocket(path, () => socket.write("GET / HTTP/1.1\r\n\r\n"));
      socket.on("close", () => resolve(true));
    });
    expect(closed).to.equal(true);
    await controller()("platform", { sandboxId: "pod" });
  });

  it("is its owner's alone", () => {
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it("is not taken from a process that serves it, nor from something that is no socket", async () => {
    const taken = await listenOnUnixSocket(path, () => {}).catch((error: Error) => error.message);
    expect(taken).to.match(/already served by another process/);
    writeFileSync(join(folder, "file"), "");
    const file = await listenOnUnixSocket(join(folder, "file"), () => {}).catch((error: Error) => error.message);
    expect(file).to.match(/is not a socket/);
    expect(existsSync(join(folder, "file"))).to.equal(true);
  });
});
