import { execFileSync } from "node:child_process";
import { closeSync, constants, createReadStream, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Logger, silentLogger } from "@kuasar/framework/log/logger";
import { kuasar } from "@kuasar/proto/containerd";
import { expect } from "chai";
import { connectGuest, type Guest } from "../guest/guest.ts";
import { answering, type FakeGuest, type FakeRequest, response, startFakeGuest } from "../testing/fake-guest.ts";
import type { OutputTarget } from "./output-targets.ts";
import { type StdioPump, startStdioPump } from "./stdio-pump.ts";

const { CloseOutputRequest, ReadOutputRequest, ReadOutputResponse } = kuasar.guest.v1;

describe("the output of a process in a guest", () => {
  let folder: string;
  let fake: FakeGuest;
  let guest: Guest;
  let warned: string[];
  const pumps: StdioPump[] = [];
  const path = (name: string) => join(folder, name);
  const log: Logger = { ...silentLogger, warn: (_: unknown, message?: string) => void warned.push(message ?? "") };

  const serve = async (answer: (request: FakeRequest) => Uint8Array | undefined) => {
    fake = await startFakeGuest(answering(answer));
    guest = connectGuest(fake.address);
  };
  /** A process that has written all of this, and ended. */
  const written = (content: Buffer, pieceBytes = 100_000) =>
    serve(({ streamId, method, payload }) => {
      if (method !== "ReadOutput") return response(streamId, new Uint8Array(0));
      const { from } = ReadOutputRequest.decode(payload);
      const data = content.subarray(from, from + pieceBytes);
      return response(streamId, ReadOutputResponse.encode({ data, end: data.length === 0 }));
    });
  const start = (target: OutputTarget, quietMs = 60_000, stdin = "") => {
    const outputs = { stdout: target, stderr: undefined };
    const pump = startStdioPump({ guest, key: "c1", stdin, outputs, progress: path("io"), log, quietMs });
    pumps.push(pump);
    return pump;
  };
  const fifo = (): OutputTarget => {
    execFileSync("mkfifo", [path("stdout")]);
    return { path: path("stdout"), kind: "fifo" };
  };
  const numbered = (bytes: number) =>
    Buffer.from(Array.from({ length: bytes / 8 }, (_, i) => `${String(i).padStart(7)}\n`).join(""));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
    warned = [];
  });
  afterEach(() => {
    for (const pump of pumps.splice(0)) pump.close();
    guest.close();
    fake.close();
    rmSync(folder, { recursive: true });
  });

  it("ends some time after the process has, however much a guest says there is", async () => {
    const answer = ReadOutputResponse.encode({ data: Buffer.alloc(100_000), end: false });
    await serve(({ streamId }) => response(streamId, answer));
    const target = fifo();
    const pump = start(target);
    let received = 0;
    const client = createReadStream(target.path).on("data", (bytes) => {
      received += bytes.length;
    });
    while (received < 1_000_000) await sleep(5);
    const before = received;
    pump.ending();
    await pump.drained;
    expect(received - before).to.be.below(4_000_000);
    client.destroy();
  });

  it("is not asked for again and again where a guest has none", async () => {
    let asked = 0;
    await serve(({ streamId }) => {
      asked++;
      return response(streamId, new Uint8Array(0));
    });
    start(fifo());
    while (asked === 0) await sleep(5);
    await sleep(300);
    expect(asked).to.be.below(10);
  });

  it("is not waited for without end once the process has ended, where the guest says nothing", async () => {
    await serve(() => undefined);
    const pump = start(fifo(), 50);
    expect(await Promise.race([pump.drained.then(() => "drained"), sleep(200, "waits")])).to.equal("waits");
    pump.ending();
    await pump.drained;
  });

  it("is not waited for without end where the guest cannot be reached, and not at all once it has gone", async () => {
    await serve(() => undefined);
    fake.close();
    const target = fifo();
    const [one, other] = [start(target, 50), start(target)];
    one.ending();
    await one.drained;
    other.ending();
    guest.close();
    await other.drained;
  });

  it("waits for a client that does not read, but does not keep the end of the process back", async () => {
    const content = numbered(400_000);
    await written(content);
    const target = fifo();
    const client = openSync(target.path, constants.O_RDONLY | constants.O_NONBLOCK);
    const pump = start(target, 50);
    pump.ending();
    await pump.drained;
    expect(pump.isStalled).to.equal(true);
    expect((await readBytes(client, content.length)).equals(content)).to.equal(true);
    closeSync(client);
  });

  it("is written once, though whoever copies it is replaced in the middle of a piece", async () => {
    const content = numbered(400_000);
    await written(content, 300_000);
    const target = fifo();
    const client = openSync(target.path, constants.O_RDWR | constants.O_NONBLOCK);
    const first = start(target);
    while (!first.isStalled) await sleep(5);
    first.close();
    start(target);
    expect((await readBytes(client, content.length)).equals(content)).to.equal(true);
    closeSync(client);
  });

  it("is dropped, and told of in the log, where its FIFO is gone: the process goes on", async () => {
    await written(numbered(400_000));
    await start({ path: path("gone"), kind: "fifo" }).drained;
    expect(warned).to.deep.equal(["output of a process in a machine is lost"]);
  });

  it("comes also where nobody can type, since the FIFO of that is gone", async () => {
    const content = numbered(400_000);
    await written(content);
    const pump = start({ path: path("file"), kind: "file" }, 60_000, path("gone"));
    pump.closeStdin();
    await pump.drained;
    expect(readFileSync(path("file")).equals(content)).to.equal(true);
    expect(warned).to.deep.equal(["a process in a machine has no input"]);
  });

  it("is appended to a file", async () => {
    const content = numbered(400_000);
    await written(content);
    await start({ path: path("file"), kind: "file" }).drained;
    expect(readFileSync(path("file")).equals(content)).to.equal(true);
    expect(warned).to.deep.equal([]);
  });

  it("has an end for the process, too, where its log driver has ended", async () => {
    const closed: number[] = [];
    await serve(({ streamId, method, payload }) => {
      if (method === "CloseOutput") closed.push(CloseOutputRequest.decode(payload).fd);
      return response(
        streamId,
        method === "ReadOutput" ? ReadOutputResponse.encode({ data: Buffer.from("x"), end: false }) : new Uint8Array(0),
      );
    });
    const target: OutputTarget = { ...fifo(), kind: "driver" };
    await start(target).drained;
    const driver = openSync(target.path, constants.O_RDONLY | constants.O_NONBLOCK);
    const pump = start(target);
    while (readNow(driver).length === 0) await sleep(5);
    closeSync(driver);
    await pump.drained;
    expect(closed).to.deep.equal([1, 1]);
    expect(warned).to.deep.equal([]);
  });
});

async function readBytes(fd: number, count: number): Promise<Buffer> {
  const got: Buffer[] = [];
  for (let bytes = 0; bytes < count; ) {
    const piece = readNow(fd);
    bytes += piece.length;
    got.push(piece);
    if (piece.length === 0) await sleep(5);
  }
  return Buffer.concat(got);
}

function readNow(fd: number): Buffer {
  const piece = Buffer.alloc(65_536);
  try {
    return piece.subarray(0, readSync(fd, piece));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return piece.subarray(0, 0);
    throw error;
  }
}
