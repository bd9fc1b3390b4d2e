import { containerd, google, kuasar } from "@kuasar/proto/containerd";
import { io } from "@kuasar/proto/metrics";
import * as shim from "@kuasar/proto/shim";
import { expect } from "chai";
import fc from "fast-check";
import { contracts, fieldsFor, messagesOf, plain, reflected } from "./message-arbitraries.ts";

const shimMessages = [...messagesOf(shim)];
const containerdMessages = new Map(messagesOf({ containerd, google, kuasar }));

/** 9223372036854771712: the largest multiple of the page size below 2^63. */
const cgroupV1NoLimit = 2 ** 63 - 4096;

describe("codecs", () => {
  it("give back what was encoded, with the default in every field that was not", () => {
    const bytes = containerd.task.v2.StateResponse.encode({ id: "c1", pid: 42, status: 2 });
    const { id, pid, status, stdin, exitStatus, exitedAt } = containerd.task.v2.StateResponse.decode(bytes);
    expect({ id, pid, status, stdin, exitStatus }).to.deep.equal({
      id: "c1",
      pid: 42,
      status: 2,
      stdin: "",
      exitStatus: 0,
    });
    expect(exitedAt ?? null).to.equal(null);
  });

  it("keep integers exact up to 2^53, and beyond where a number can hold them", () => {
    const values = [1, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, cgroupV1NoLimit, 2 ** 63];
    for (const value of values) {
      const { MemoryEntry } = io.containerd.cgroups.v1;
      const bytes = MemoryEntry.encode({ limit: value });
      expect(MemoryEntry.decode(bytes).limit).to.equal(value);
      const { AdoptRequest } = shim.kuasar.monitor.v1;
      expect(AdoptRequest.decode(AdoptRequest.encode({ startTime: value })).startTime).to.equal(value);
    }
    const noLimit = io.containerd.cgroups.v1.MemoryEntry.encode({ limit: cgroupV1NoLimit });
    expect(Buffer.from(noLimit).toString("hex")).to.equal("0880e0ffffffffffff7f");
    for (const value of [-1, -(2 ** 31), -(2 ** 53), -(2 ** 63)]) {
      for (const { Timestamp } of [google.protobuf, shim.google.protobuf]) {
        expect(Timestamp.decode(Timestamp.encode({ seconds: value })).seconds).to.equal(value);
      }
    }
  });

  it("tell an optional field at its default from one that is absent", () => {
    for (const { SpawnRequest } of [kuasar.monitor.v1, shim.kuasar.monitor.v1]) {
      expect(SpawnRequest.decode(SpawnRequest.encode({ oomScoreAdj: 0 })).oomScoreAdj).to.equal(0);
      expect(SpawnRequest.decode(SpawnRequest.encode({})).oomScoreAdj ?? null).to.equal(null);
    }
  });

  it("do not take a field of another type, or an unknown one, for theirs", () => {
    const bytes = new Uint8Array([0x0a, 1, 0x61, 0x10, 7, 0xfa, 0x3f, 1, 0, 0xf3, 0x3f, 0x08, 1, 0xf4, 0x3f]);
    for (const { StartRequest } of [containerd.task.v2, shim.containerd.task.v2]) {
      const { id, execId } = StartRequest.decode(bytes);
      expect({ id, execId }).to.deep.equal({ id: "a", execId: "" });
    }
  });
});

describe("the shim's table codecs", () => {
  // protobufjs, which reads the same contracts its own way, is the measure.
  for (const [name, type] of shimMessages) {
    it(`agree with protobufjs on ${name}`, () => {
      const oracle = contracts.lookupType(name);
      fc.assert(
        fc.property(fieldsFor(oracle), (fields) => {
          const bytes = type.encode(fields);
          const theirs = oracle.encode(oracle.fromObject(fields)).finish();
          const expected = reflected(oracle.fromObject(fields));
          expect(reflected(oracle.decode(bytes)), "encoded").to.deep.equal(expected);
          expect(plain(type.decode(theirs)), "decoded").to.deep.equal(expected);
          const unrolled = containerdMessages.get(name);
          if (unrolled) expect(Buffer.from(unrolled.encode(fields))).to.deep.equal(Buffer.from(bytes));
        }),
        { numRuns: 25 },
      );
    });
  }

  it("refuse or read damaged bytes, as protobufjs does, and never fail otherwise", () => {
    const { CreateTaskRequest } = shim.containerd.task.v2;
    const oracle = contracts.lookupType("containerd.task.v2.CreateTaskRequest");
    const damaged = fc
      .tuple(fieldsFor(oracle), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), fc.nat())
      .map(([fields, changes, cut]) => {
        const bytes = Uint8Array.from(CreateTaskRequest.encode(fields));
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        return bytes.subarray(0, bytes.length - (cut % 3));
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 40 })), (bytes) => {
        const attempt = (decode: () => unknown) => {
          try {
            return { message: decode() };
          } catch (error) {
            expect(error).to.be.instanceOf(Error);
            return undefined;
          }
        };
        const ours = attempt(() => CreateTaskRequest.decode(bytes));
        const theirs = attempt(() => containerd.task.v2.CreateTaskRequest.decode(bytes));
        expect(ours === undefined, "refused").to.equal(theirs === undefined);
        const again = (message: unknown) => Buffer.from(CreateTaskRequest.encode(message as object)).toString("hex");
        if (ours && theirs) expect(again(ours.message)).to.equal(again(theirs.message));
      }),
      { numRuns: 3000 },
    );
  });

  it("write and read any text, in one, two, three and four bytes and over a length of two and three bytes", () => {
    const { Any } = shim.google.protobuf;
    for (const text of ["a", "é", "€", "😀", "\u0000", "é".repeat(63), "€".repeat(6000), "😀".repeat(5000)]) {
      const bytes = Any.encode({ typeUrl: text });
      expect(Buffer.from(bytes).includes(text)).to.equal(true);
      expect(Any.decode(bytes).typeUrl).to.equal(text);
    }
    expect(Any.decode(Any.encode({ typeUrl: "a\ud800b" })).typeUrl).to.equal("a\ufffdb");
  });

  it("refuse text that is not UTF-8", () => {
    // A lone continuation, overlong forms, half a surrogate pair, beyond U+10FFFF, cut off by the next field.
    for (const hex of ["80", "c080", "e08080", "f0808080", "eda080", "f4908080", "f888808080", "e282", "ff"]) {
      const text = Buffer.from(hex, "hex");
      const bytes = Buffer.concat([Buffer.from([0x0a, text.length]), text, Buffer.from([0x12, 0])]);
      expect(() => shim.google.protobuf.Any.decode(bytes), hex).to.throw("not UTF-8");
    }
  });

  it("hold nothing of the buffer they read", () => {
    const { Any } = shim.google.protobuf;
    const bytes = Buffer.from(Any.encode({ typeUrl: "t", value: new Uint8Array([1, 2, 3]) }));
    const { value } = Any.decode(bytes);
    bytes.fill(0);
    expect([...value]).to.deep.equal([1, 2, 3]);
  });
});
