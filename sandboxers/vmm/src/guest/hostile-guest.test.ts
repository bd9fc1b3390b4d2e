import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, type SandboxError } from "@kuasar/framework/error/sandbox-error";
import { silentLogger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import { kuasar } from "@kuasar/proto/containerd";
import { expect } from "chai";
import { watchLiveness } from "../machine/liveness.ts";
import {
  answering,
  type Behaviour,
  type FakeGuest,
  failure,
  frame,
  GREETING,
  response,
  startFakeGuest,
} from "../testing/fake-guest.ts";
import { connectGuest, type Guest } from "./guest.ts";
import { plausibleExit } from "./plausible-exit.ts";

const wire = kuasar.guest.v1;
const EMPTY = new Uint8Array(0);
const honest = answering(({ streamId }) => response(streamId, EMPTY));

describe("a hostile guest", () => {
  let fake: FakeGuest;
  let guest: Guest;
  const connectTo = async (behave: Behaviour) => {
    fake = await startFakeGuest(behave);
    guest = connectGuest(fake.address);
  };
  afterEach(() => {
    guest.close();
    fake.close();
  });

  const refusal = (promise: Promise<unknown>): Promise<SandboxError> =>
    promise.then(
      () => {
        throw new Error("expected a refusal");
      },
      (error: SandboxError) => error,
    );

  const misbehaviours: Record<string, Behaviour> = {
    "says something else than a greeting": (socket) => socket.write("KUASAR-GUEST-2\nhello"),
    "says half a greeting": (socket) => socket.write(GREETING.slice(0, 5)),
    "says nothing": () => {},
    "hangs up": (socket) => socket.end(),
    "floods in place of a greeting": (socket) => socket.write(Buffer.alloc(1 << 20, 0x41)),
    "floods after its greeting": (socket) => {
      socket.write(GREETING);
      socket.write(Buffer.alloc(1 << 20, 0xff));
    },
    "begins a frame and never ends it": answering(({ streamId }) => frame(streamId, Buffer.alloc(10), 2, 4096)),
    "sends a frame of 4 GiB": answering(({ streamId }) => frame(streamId, Buffer.alloc(10), 2, 0xffff_ffff)),
    "answers what nobody asked": answering(({ streamId }) => response(streamId + 100, EMPTY)),
    "answers with what is no message": answering(({ streamId }) => frame(streamId, Buffer.from([0xff, 0xff, 0xff]))),
    "sends data on a stream that has none": answering(({ streamId }) => frame(streamId, Buffer.from("x"), 3)),
    "never answers": answering(() => undefined),
  };
  for (const [what, behave] of Object.entries(misbehaviours)) {
    it(`that ${what} makes a call fail, and is heard again when it behaves`, async () => {
      await connectTo(behave);
      await refusal(guest.ping(200));
      fake.behave = honest;
      guest.silence("silent");
      await guest.ping(10_000);
    });
  }

  it("is told of once it is silent, asked for nothing then, and heard again", async () => {
    await connectTo(answering(() => undefined));
    const told: string[] = [];
    const note = (_: object, text: string) => void told.push(text);
    const log = { ...silentLogger, warn: note, info: note };
    const liveness = watchLiveness({ id: "pod", record: { state: "ready" } } as unknown as Sandbox, guest, log, {
      periodMs: 10,
      patienceMs: 50,
    });
    const until = async (when: () => boolean) => {
      while (!when()) await sleep(5);
    };
    const early = refusal(guest.readFiles(["/early"]));
    await until(() => liveness.silentSince !== undefined);
    expect((await early).message).to.match(/the machine of sandbox pod does not answer since \d{4}-/);
    const { code, message } = await refusal(guest.readFiles(["/x"]));
    expect(code).to.equal(ErrorCode.UNAVAILABLE);
    expect(message).to.match(/the machine of sandbox pod does not answer since \d{4}-/);
    fake.behave = honest;
    await until(() => liveness.silentSince === undefined);
    expect((await guest.readFiles(["/x"])).size).to.equal(0);
    liveness.leave();
    expect(told).to.deep.equal(["the machine's guest does not answer", "the machine's guest answers again"]);
  });

  it("makes up no code and no text without end", async () => {
    await connectTo(answering(({ streamId }) => failure(streamId, 9999, "x".repeat(1_000_000))));
    const { code, message } = await refusal(guest.closeIo("c"));
    expect(code).to.equal(ErrorCode.UNKNOWN);
    expect(message).to.have.length.below(10_000);
  });

  it("gives no file that it was not asked for, and not more of one than agreed", async () => {
    const files = ["/asked", "/etc/shadow"].map((path) => ({ path, content: Buffer.alloc(1 << 20, 0x41), mode: 0 }));
    await connectTo(answering(({ streamId }) => response(streamId, wire.ReadFilesResponse.encode({ files }))));
    const read = await guest.readFiles(["/asked"]);
    expect([...read.keys()]).to.deep.equal(["/asked"]);
    expect(read.get("/asked")).to.have.length(256 * 1024);
  });

  it("has no exit before its pod, or after now", async () => {
    await connectTo(honest);
    const since = { seconds: 1_000, nanos: 0 };
    const now = Math.floor(Date.now() / 1000);
    for (const seconds of [-62_135_596_800, 0, 253_402_300_800]) {
      const { status, at } = plausibleExit({ status: 4_294_967_295, at: { seconds, nanos: 0 } }, since);
      expect(status).to.equal(255);
      expect(at.seconds).to.be.within(now, now + 60);
    }
    const exit = { status: 7, at: { seconds: now - 5, nanos: 5 } };
    expect(plausibleExit(exit, since)).to.deep.equal(exit);
  });
});
