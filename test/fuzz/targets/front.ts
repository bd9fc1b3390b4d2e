import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@kuasar/framework/log/logger";
import { createFront } from "@kuasar/framework/server/front";
import { createGrpcServer } from "@kuasar/framework/server/grpc-server";
import { createTtrpcServer } from "@kuasar/framework/server/ttrpc-server";
import { listenOnUnixSocket } from "@kuasar/framework/server/unix-listener";
import { createNodeFixture, NAMESPACE } from "@kuasar/framework/testing/node-fixture";
import { SandboxService } from "@kuasar/proto/definitions";
import fc from "fast-check";
import { connect } from "ttrpc-ts/node";
import { FramePeer } from "../frame-peer.ts";
import { fuzzTarget, withinDeadline } from "../fuzz-target.ts";
import { type Hex, hex } from "../hostile.ts";

const HTTP2 = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const PING = {
  service: SandboxService.name,
  method: "PingSandbox",
  payload: SandboxService.methods.pingSandbox.input.encode({ sandboxId: "nobody" }),
  metadata: { "containerd-namespace-ttrpc": NAMESPACE },
};
const NOT_FOUND = 5;

/** What a connection begins with, and whether it is cut off there. */
interface Input {
  readonly chunks: readonly Hex[];
  readonly reset: boolean;
}

const frames = fc
  .record({
    type: fc.nat({ max: 12 }),
    flags: fc.nat({ max: 255 }),
    stream: fc.nat({ max: 9 }),
    body: hex(30),
    more: fc.nat({ max: 3 }),
  })
  .map(({ type, flags, stream, body, more }) => {
    const header = Buffer.alloc(9);
    header.writeUIntBE(body.length / 2 + more, 0, 3);
    header.writeUInt8(type, 3);
    header.writeUInt8(flags, 4);
    header.writeUInt32BE(stream, 5);
    return header.toString("hex") + body;
  });

/** The sandboxer's socket, which tells ttrpc and gRPC apart by the first byte. */
export const front = fuzzTarget<Input>({
  name: "front",
  native: false,
  inputs: fc.record({
    chunks: fc.oneof(
      fc.array(hex(60), { maxLength: 4 }),
      fc.array(frames, { maxLength: 4 }).map((list) => [HTTP2.toString("hex"), ...list]),
      fc.nat({ max: HTTP2.length }).map((length) => [HTTP2.subarray(0, length).toString("hex")]),
    ),
    reset: fc.boolean(),
  }),
  async open() {
    const node = await createNodeFixture();
    const folder = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
    const path = join(folder, "s.sock");
    const ttrpc = createTtrpcServer(node.domain, silentLogger);
    const grpc = async () =>
      createGrpcServer(node.domain, path, silentLogger, { pingEveryMs: 100, pingTimeoutMs: 100 });
    const listener = await listenOnUnixSocket(path, createFront(ttrpc, grpc, silentLogger));
    const connections = () => new Promise<number>((resolve) => listener.getConnections((_, count) => resolve(count)));
    return {
      async feed({ chunks, reset }: Input) {
        const socket = connectSocket(path);
        socket.on("error", () => undefined);
        const closed = new Promise((resolve) => socket.once("close", resolve));
        await new Promise((resolve) => socket.once("connect", resolve));
        for (const chunk of chunks) {
          if (!socket.destroyed && chunk !== "") socket.write(Buffer.from(chunk, "hex"));
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (reset) socket.destroy();
        else socket.end();
        socket.resume();
        const peer = new FramePeer(await connect(path));
        const { code } = await peer.call(PING);
        if (code !== NOT_FOUND) throw new Error(`the sandboxer no longer serves: code ${code}`);
        peer.close();
        socket.destroy();
        await closed;
        const none = async () => {
          while ((await connections()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
        };
        await withinDeadline("the end of every connection", none());
      },
      async close() {
        listener.close();
        ttrpc.close();
        await node.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
});
