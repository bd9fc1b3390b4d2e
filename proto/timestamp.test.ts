import {
  timestampFromDate,
  timestampFromMs,
  timestampFromNs,
  timestampToDate,
  timestampToMs,
  timestampToNs,
} from "@kuasar/proto/timestamp";
import { expect } from "chai";

describe("timestamps", () => {
  it("keep every nanosecond of a bigint", () => {
    for (const ns of [0n, 1n, -1n, -1_000_000_001n, 1_700_000_000_123_456_789n]) {
      const { nanos } = timestampFromNs(ns);
      expect(nanos).to.be.within(0, 999_999_999);
      expect(timestampToNs(timestampFromNs(ns))).to.equal(ns);
    }
  });

  it("keep every millisecond of a Date, before 1970 too", () => {
    for (const ms of [0, 1, 999, -1, -1500, 1_700_000_000_123]) {
      expect(timestampToDate(timestampFromDate(new Date(ms))).getTime()).to.equal(ms);
    }
  });

  it("count nanos forwards, and below a second", () => {
    expect(timestampFromMs(-1)).to.deep.equal({ seconds: -1, nanos: 999_000_000 });
    expect(timestampFromMs(999.9999)).to.deep.equal({ seconds: 1, nanos: 0 });
    expect(timestampToMs({ seconds: 2, nanos: 500_000_000 })).to.equal(2500);
  });
});
