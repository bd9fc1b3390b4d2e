import { setTimeout as sleep } from "node:timers/promises";
import { SandboxError } from "@kuasar/framework/error/sandbox-error";
import { connectGuest } from "@kuasar/vmm-sandboxer/guest/guest";
import {
  answering,
  type Behaviour,
  frame,
  GREETING,
  response,
  startFakeGuest,
} from "@kuasar/vmm-sandboxer/testing/fake-guest";
import { assert } from "chai";
import fc from "fast-check";
import { type FuzzTarget, fuzzTarget, withinDeadline } from "../fuzz-target.ts";

/** What a guest sends on a connection, whatever is asked of it. */
type Act =
  | { readonly kind: "greeting"; readonly length: number }
  | { readonly kind: "bytes"; readonly hex: string }
  | {
      readonly kind: "frame";
      readonly streamId: number;
      readonly type: number;
      readonly length: number;
      readonly hex: string;
    }
  | { readonly kind: "end" };

const hex = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant("greeting" as const), length: fc.nat(GREETING.length) }),
  fc.record({ kind: fc.constant("greeting" as const), length: fc.constant(GREETING.length) }),
  fc.record({ kind: fc.constant("bytes" as const), hex }),
  fc.record({
    kind: fc.constant("frame" as const),
    streamId: fc.oneof(fc.nat(5), fc.nat(0xffff_ffff)),
    type: fc.nat(255),
    length: fc.oneof(fc.nat(64), fc.nat(0xffff_ffff)),
    hex,
  }),
  fc.record({ kind: fc.constant("end" as const) }),
);

const PING_MS = 50;

/** The channel to a virtual machine: a guest that sends anything makes calls fail, in time, and nothing else. */
export const guestLink: FuzzTarget = fuzzTarget<Act[]>({
  name: "guest-link",
  inputs: fc.array(act, { maxLength: 8 }),
  native: false,
  async open() {
    const honest = answering(({ streamId }) => response(streamId, new Uint8Array(0)));
    const fake = await startFakeGuest(honest);
    return {
      async feed(acts) {
        const guest = connectGuest(fake.address);
        try {
          fake.behave = play(acts);
          const outcome = await withinDeadline(
            "a call to a guest that misbehaves",
            guest.ping(PING_MS).catch((error: unknown) => error),
          );
          assert.ok(outcome === undefined || outcome instanceof SandboxError, String(outcome));
          fake.behave = honest;
          guest.silence("silent");
          await withinDeadline("a call to a guest that behaves again", guest.ping(5_000));
        } finally {
          guest.close();
        }
      },
      close: async () => fake.close(),
    };
  },
});

function play(acts: readonly Act[]): Behaviour {
  return (socket) => {
    void (async () => {
      for (const each of acts) {
        if (socket.destroyed) return;
        if (each.kind === "end") socket.end();
        else socket.write(bytesOf(each));
        await sleep(0);
      }
    })();
  };
}

function bytesOf(each: Exclude<Act, { kind: "end" }>): Buffer {
  switch (each.kind) {
    case "greeting":
      return Buffer.from(GREETING.slice(0, each.length));
    case "bytes":
      return Buffer.from(each.hex, "hex");
    case "frame":
      return frame(each.streamId, Buffer.from(each.hex, "hex"), each.type, each.length);
  }
}
