import { expect } from "chai";
import fc from "fast-check";
import { createFrameDecoder } from "./decoder.ts";
import { allocateFrame, MESSAGE_HEADER_LENGTH } from "./frame.ts";

interface Frame {
  type: number;
  flags: number;
  streamId: number;
  message: Uint8Array;
}

const LIMIT = 1024;

const frames = fc.array(
  fc.record({
    type: fc.integer({ min: 0, max: 255 }),
    flags: fc.integer({ min: 0, max: 255 }),
    streamId: fc.integer({ min: 0, max: 0xffff_ffff }),
    message: fc.uint8Array({ maxLength: LIMIT }),
  }),
  { maxLength: 12 },
);

function concat(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function encode({ type, flags, streamId, message }: Frame): Uint8Array {
  const frame = allocateFrame(type, flags, streamId, message.length);
  frame.set(message, MESSAGE_HEADER_LENGTH);
  return frame;
}

function split(bytes: Uint8Array, cuts: number[]): Uint8Array[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...at, bytes.length].map((end, i) => bytes.slice(at[i - 1] ?? 0, end));
}

function collect(): { log: string[]; frames: Frame[]; decoder: ReturnType<typeof createFrameDecoder> } {
  const log: string[] = [];
  const received: Frame[] = [];
  const decoder = createFrameDecoder(
    {
      onFrame: (type, flags, streamId, message) => received.push({ type, flags, streamId, message }),
      onOversized: (type, streamId, length) => log.push(`oversized ${type} ${streamId} ${length}`),
      onNonsense: (reason) => log.push(reason),
    },
    LIMIT,
  );
  return { log, frames: received, decoder };
}

function plain(list: Frame[]): unknown[] {
  return list.map((frame) => ({ ...frame, message: [...frame.message] }));
}

describe("frame decoder", () => {
  it("gives the same frames however the byte stream is split", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), (sent, cuts) => {
        const { decoder, frames: received } = collect();
        for (const chunk of split(concat(sent.map(encode)), cuts)) {
          decoder.push(chunk);
        }
        expect(plain(received)).to.deep.equal(plain(sent));
      }),
    );
  });

  it("gives the same frames in order when it is paused after any of them", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), fc.infiniteStream(fc.boolean()), (sent, cuts, pauses) => {
        const received: Frame[] = [];
        let paused = false;
        const decoder = createFrameDecoder(
          {
            onFrame: (type, flags, streamId, message) => {
              expect(paused).to.equal(false);
              received.push({ type, flags, streamId, message });
              if (pauses.next().value === true) {
                paused = true;
                decoder.pause();
              }
            },
            onOversized: () => {},
            onNonsense: () => {},
          },
          LIMIT,
        );
        for (const chunk of split(concat(sent.map(encode)), cuts)) {
          decoder.push(chunk);
        }
        for (let left = sent.length; left > 0 && paused; left--) {
          paused = false;
          decoder.resume();
        }
        expect(plain(received)).to.deep.equal(plain(sent));
      }),
    );
  });

  it("survives any garbage in any chunks", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 30 }), (chunks) => {
        const { decoder } = collect();
        for (const chunk of chunks) {
          decoder.push(chunk);
        }
      }),
    );
  });

  it("passes over an oversized message, says so once, and goes on with the next frame", () => {
    const { decoder, frames: received, log } = collect();
    const next = { type: 1, flags: 0, streamId: 3, message: Uint8Array.of(1, 2, 3) };
    decoder.push(allocateFrame(1, 0, 1, LIMIT + 1).subarray(0, 500));
    decoder.push(new Uint8Array(LIMIT + 1 + MESSAGE_HEADER_LENGTH - 500));
    decoder.push(encode(next));
    expect(log).to.deep.equal([`oversized 1 1 ${LIMIT + 1}`]);
    expect(plain(received)).to.deep.equal(plain([next]));
  });

  it("takes a message of exactly the limit", () => {
    const { decoder, frames: received } = collect();
    decoder.push(allocateFrame(1, 0, 1, LIMIT));
    expect(received[0]?.message.length).to.equal(LIMIT);
  });

  it("gives up on a peer that speaks another protocol", () => {
    const { decoder, frames: received, log } = collect();
    decoder.push(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    decoder.push(encode({ type: 1, flags: 0, streamId: 1, message: new Uint8Array(0) }));
    expect(log).to.have.length(1);
    expect(log[0]).to.match(/^not a ttrpc frame: length 1195725856/);
    expect(received).to.have.length(0);
  });
});
