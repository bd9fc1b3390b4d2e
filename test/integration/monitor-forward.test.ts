import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { kuasar } from "@kuasar/proto/containerd";
import { assert } from "chai";
import { execa } from "execa";
import { type LiveMonitor, startMonitor } from "./live-monitor.ts";

const { SpawnRequest } = kuasar.monitor.v1;
const SIGKILL = 9;

describe("A monitor that takes the connections of a network namespace", function () {
  this.timeout(30_000);
  const name = `kuasar-test-${randomBytes(3).toString("hex")}`;
  const network = join("/run/netns", name);
  let live: LiveMonitor;
  let server: Server;
  let socket: string;

  before(async () => {
    await execa("ip", ["netns", "add", name]);
    await execa("ip", ["-n", name, "link", "set", "lo", "up"]);
    live = await startMonitor();
    socket = join(live.folder, "forward.sock");
    server = createServer({ allowHalfOpen: true }).listen(socket);
    await live.monitor.spawn(SpawnRequest.create({ key: "machine", argv: ["/bin/sleep", "1000"], cwd: "/" }));
    await live.monitor.forward({ key: "machine", network, socket });
  });

  after(async () => {
    server.close();
    await live.end();
    await execa("ip", ["netns", "delete", name]);
  });

  /** In the namespace: what was heard in answer, or the error's code. */
  async function connect(host: string, port: number, input: string): Promise<string> {
    const script = `
      const connection = require("node:net").connect({ host: "${host}", port: ${port}, allowHalfOpen: true });
      connection.on("error", ({ code }) => process.stdout.write(code)).on("data", (data) => process.stdout.write(data));
      connection.end("${input}");`;
    const argv = [`--net=${network}`, process.execPath, "-e", script];
    return (await execa("nsenter", argv, { timeout: 20_000 })).stdout;
  }

  async function accepted(): Promise<{ connection: Socket; port: number }> {
    const [connection] = (await once(server, "connection")) as [Socket];
    await once(connection, "readable");
    return { connection, port: (connection.read(2) as Buffer).readUInt16BE() };
  }

  for (const host of ["127.0.0.1", "::1"]) {
    it(`hands on one to any port of ${host}, with the port, and each direction ends by itself`, async () => {
      const client = connect(host, 54_321, "question");
      const { connection, port } = await accepted();
      assert.equal(port, 54_321);
      connection.write(Uint8Array.of(1));
      let heard = "";
      for await (const data of connection.iterator({ destroyOnReturn: false })) heard += data;
      assert.equal(heard, "question");
      connection.end("answer");
      assert.equal(await client, "answer");
    });
  }

  it("resets one that nobody takes", async () => {
    const client = connect("127.0.0.1", 80, "");
    (await accepted()).connection.destroy();
    assert.equal(await client, "ECONNRESET");
  });

  it("says why it cannot: no such namespace, no such process", async () => {
    const refusal = (request: { key: string; network: string }) =>
      live.monitor.forward({ socket, ...request }).then(
        () => "nothing was wrong",
        (error: Error) => error.message,
      );
    assert.match(await refusal({ key: "machine", network: "/run/netns/no-such" }), /no such file/);
    assert.match(await refusal({ key: "nobody", network }), /nobody/);
  });

  it("lets go of the namespace when the process has exited", async () => {
    await live.monitor.signal({ key: "machine", signal: SIGKILL });
    await live.monitor.wait({ key: "machine" });
    assert.equal(await connect("127.0.0.1", 80, ""), "ECONNREFUSED");
  });
});
