import { kuasar } from "@kuasar/proto/containerd";
import { expect } from "chai";
import { LAST_PIECE, restOf } from "./output-piece.ts";

const { ReadOutputResponse } = kuasar.guest.v1;

describe("a part of a process's output", () => {
  it("is sent as the message that it is said to be, whatever its length", () => {
    for (const length of [1, 127, 128, 16_383, 16_384, 262_144]) {
      const data = Buffer.alloc(length + 3, "a piece of something");
      const { encoded } = restOf({ data, encoded: data }, 3);
      const message = ReadOutputResponse.decode(encoded);
      expect(data.subarray(3).equals(message.data), `${length} bytes`).to.equal(true);
      expect(message.end).to.equal(false);
    }
  });

  it("ends by one that says so", () => {
    const { data, end } = ReadOutputResponse.decode(LAST_PIECE.encoded);
    expect([data.length, end]).to.deep.equal([0, true]);
  });
});
