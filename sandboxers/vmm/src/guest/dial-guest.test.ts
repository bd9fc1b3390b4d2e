import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { dialGuest } from "./dial-guest.ts";

const TIMEOUT_MS = 5_000;

describe("A connection to a guest", () => {
  let folder: string;
  let server: Server;
  const path = () => join(folder, "agent.sock");

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-dial-"));
  });
  afterEach(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  /** In a machine's place: does what it is told on each connection. */
  async function fakeGuest(behave: (socket: Socket) => void): Promise<void> {
    server = createServer((socket) => {
      socket.on("error", () => {});
      behave(socket);
    });
    await new Promise<void>((resolve) => server.listen(path(), resolve));
  }

  /** Answers what is asked for on a hybrid vsock with this, and has heard so much by then. */
  async function fakeHybridVsock(answer: string, heard: string[] = []): Promise<void> {
    await fakeGuest((socket) =>
      socket.once("data", (bytes) => {
        heard.push(bytes.toString());
        socket.write(answer);
      }),
    );
  }

  const dialPort = () => dialGuest({ kind: "unix", path: path() }, TIMEOUT_MS);
  const dialVsock = () => dialGuest({ kind: "hybrid-vsock", path: path(), port: 1024 }, TIMEOUT_MS);
  const failure = (dial: Promise<unknown>) =>
    dial.then(
      () => "it was made",
      (error: Error) => error.message,
    );
  const firstBytes = async (dial: ReturnType<typeof dialGuest>) => {
    const transport = await dial;
    const bytes = await new Promise<Uint8Array>((resolve) => {
      transport.onData = resolve;
      transport.resume();
    });
    transport.close();
    return Buffer.from(bytes).toString();
  };

  it("by a virtio port is made by its greeting, however it comes, and what follows is the guest's", async () => {
    await fakeGuest((socket) => {
      socket.write("KUASAR-");
      setImmediate(() => socket.write("GUEST-1\nframe"));
    });
    expect(await firstBytes(dialPort())).to.equal("frame");
  });

  it("by a hybrid vsock asks for a port, is made by OK, and what follows is the guest's", async () => {
    const heard: string[] = [];
    await fakeHybridVsock("OK 1073741824\nframe", heard);
    expect(await firstBytes(dialVsock())).to.equal("frame");
    expect(heard).to.deep.equal(["CONNECT 1024\n"]);
  });

  it("is none where something else comes", async () => {
    await fakeGuest((socket) => socket.write("KUASAR-GUEST-2\n"));
    expect(await failure(dialPort())).to.equal("something else than a greeting");
    server.close();
    for (const answer of ["NO 1\n", "OK\n", "OK -1\n", "OK 99999999999\n", "x".repeat(64)]) {
      rmSync(path(), { force: true });
      await fakeHybridVsock(answer);
      expect(await failure(dialVsock()), answer).to.equal("something else than a greeting");
      server.close();
    }
  });

  it("is none where nobody listens in the guest, which a hybrid vsock says by closing", async () => {
    await fakeGuest((socket) => socket.once("data", () => socket.end()));
    expect(await failure(dialVsock())).to.equal("closed before the greeting");
  });
});
