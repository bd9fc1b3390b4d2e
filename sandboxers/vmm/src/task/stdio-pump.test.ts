import { execFileSync } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, type SandboxError } from "@kuasar/framework/error/sandbox-error";
import { silentLogger } from "@kuasar/framework/log/logger";
import { kuasar } from "@kuasar/proto/containerd";
import { expect } from "chai";
import { connectGuest, type Guest } from "../guest/guest.ts";
import { answering, type FakeGuest, response, startFakeGuest } from "../testing/fake-guest.ts";
import { createLastAnswers } from "./last-answers.ts";
import { type StdioPump, startStdioPump } from "./stdio-pump.ts";

const { ReadOutputResponse } = kuasar.guest.v1;

describe("the output of a process in a guest that lies", () => {
  let folder: string;
  let fake: FakeGuest;
  let guest: Guest;
  let pump: StdioPump;
  let received = 0;
  let asked = 0;

  const start = async (data: Uint8Array, end = false) => {
    received = 0;
    asked = 0;
    const answer = ReadOutputResponse.encode({ data, end });
    fake = await startFakeGuest(
      answering(({ streamId }) => {
        asked++;
        return response(streamId, answer);
      }),
    );
    guest = connectGuest(fake.address);
    const stdout = join(folder, "stdout");
    execFileSync("mkfifo", [stdout]);
    pump = pumpTo({ stdin: "", stdout });
    return createReadStream(stdout).on("data", (bytes) => {
      received += bytes.length;
    });
  };

  const pumpTo = (paths: { stdin: string; stdout: string }) => {
    const io = { stderr: "", terminal: false, ...paths };
    return startStdioPump({ guest, key: "c1", io, progress: join(folder, "io", "c1"), log: silentLogger });
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
  });
  afterEach(() => {
    pump.close();
    guest.close();
    fake.close();
    rmSync(folder, { recursive: true });
  });

  it("ends some time after the process has, however much there is said to be", async () => {
    const client = await start(Buffer.alloc(100_000));
    while (received < 1_000_000) await sleep(5);
    const before = received;
    pump.ending();
    await pump.drained;
    expect(received - before).to.be.below(4_000_000);
    client.destroy();
  });

  it("is read and dropped where its client's FIFOs have gone, as after an exec that was cut off", async () => {
    const client = await start(Buffer.alloc(10), true);
    await pump.drained;
    client.destroy();
    pump = pumpTo({ stdin: join(folder, "gone"), stdout: join(folder, "gone") });
    const before = asked;
    await pump.drained;
    pump.closeStdin();
    expect(asked).to.be.above(before);
  });

  it("is not asked for again and again where there is none", async () => {
    const client = await start(new Uint8Array(0));
    while (asked === 0) await sleep(5);
    await sleep(300);
    expect(asked).to.be.below(10);
    client.destroy();
  });
});

describe("a guest's last answers", () => {
  const never = new Promise<never>(() => {});
  const codeOf = (promise: Promise<unknown>) => promise.then(String, (error: SandboxError) => error.code);

  it("are waited for while the process runs, and in the end for a while only", async () => {
    const answers = createLastAnswers(20);
    const waiting = answers.wait(never);
    expect(await codeOf(Promise.race([waiting, sleep(100, "waits")]))).to.equal("waits");
    answers.begin();
    expect(await codeOf(waiting)).to.equal(ErrorCode.DEADLINE_EXCEEDED);
    expect(await codeOf(answers.wait(never))).to.equal(ErrorCode.DEADLINE_EXCEEDED);
    expect(await answers.wait(Promise.resolve(7))).to.equal(7);
  });
});
