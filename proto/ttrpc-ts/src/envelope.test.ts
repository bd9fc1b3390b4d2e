import { expect } from "chai";
import fc from "fast-check";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse, encodeStatus } from "./envelope.ts";
import { MESSAGE_HEADER_LENGTH, MESSAGE_LENGTH_MAX } from "./frame.ts";
import { Code, StatusError } from "./status.ts";

// Strings that have a UTF-8 form: half a surrogate pair has none.
const text = fc.string({ unit: "binary", maxLength: 80 });
const bytes = fc.uint8Array({ maxLength: 300 });
const code = fc.constantFrom(...Object.values(Code).filter((value) => value !== Code.OK));

function body(frame: Uint8Array): Uint8Array {
  return frame.subarray(MESSAGE_HEADER_LENGTH);
}

describe("envelope", () => {
  it("gives back every request that was encoded", () => {
    const metadata = fc.dictionary(
      fc.string({ maxLength: 12 }).map((key) => key.toLowerCase()),
      fc.array(text, { minLength: 1, maxLength: 3 }),
    );
    fc.assert(
      fc.property(text, text, bytes, fc.maxSafeNat(), metadata, (service, method, payload, timeoutNano, pairs) => {
        const request = { service, method, payload, timeoutNano, metadata: pairs };
        const decoded = decodeRequest(body(encodeRequest(1, 0, request, MESSAGE_LENGTH_MAX)));
        expect({ ...decoded, payload: [...decoded.payload], metadata: { ...decoded.metadata } }).to.deep.equal({
          ...request,
          payload: [...payload],
          metadata: { ...pairs },
        });
      }),
    );
  });

  it("gives back every answer that was encoded", () => {
    fc.assert(
      fc.property(bytes, (payload) => {
        const decoded = decodeResponse(body(encodeResponse(1, payload, MESSAGE_LENGTH_MAX)));
        expect(decoded.status).to.equal(undefined);
        expect([...decoded.payload]).to.deep.equal([...payload]);
      }),
    );
  });

  it("gives back every error that was encoded, with its details", () => {
    const details = fc.array(fc.record({ typeUrl: text, value: bytes }), { maxLength: 3 });
    fc.assert(
      fc.property(code, text, details, (number, message, list) => {
        const error = new StatusError(number, message, { details: list });
        const { status } = decodeResponse(body(encodeStatus(1, error, MESSAGE_LENGTH_MAX)));
        expect(status?.code).to.equal(number);
        expect(status?.message).to.equal(message);
        expect(status?.details.map(({ typeUrl, value }) => [typeUrl, ...value])).to.deep.equal(
          list.map(({ typeUrl, value }) => [typeUrl, ...value]),
        );
      }),
    );
  });

  it("refuses a request that is cut short anywhere inside a field", () => {
    const request = { service: "svc", method: "Do", payload: Uint8Array.of(1), timeoutNano: 5, metadata: { k: ["v"] } };
    const whole = body(encodeRequest(1, 0, request, MESSAGE_LENGTH_MAX));
    const boundaries = new Set([0, 5, 9, 12, 14]);
    for (let end = 0; end < whole.length; end++) {
      const decode = (): unknown => decodeRequest(whole.subarray(0, end));
      if (boundaries.has(end)) {
        expect(decode).not.to.throw();
      } else {
        expect(decode, `cut at ${end}`).to.throw(/truncated/);
      }
    }
  });

  it("either decodes any bytes or throws an Error, and never hangs", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
        for (const decode of [decodeRequest, decodeResponse]) {
          try {
            decode(garbage);
          } catch (error) {
            expect(error).to.be.instanceOf(Error);
          }
        }
      }),
    );
  });

  it("passes over fields of every wire type that it does not know", () => {
    const unknown = [0x78, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 1, 9, 0x7d, 1, 2, 3, 4, 0x7b, 0x78, 1, 0x7c];
    const decoded = decodeRequest(Uint8Array.of(...unknown, 0x0a, 1, 0x73, ...unknown));
    expect(decoded.service).to.equal("s");
  });

  it("refuses groups nested without end, field number 0, and text that is not UTF-8", () => {
    expect(() => decodeRequest(new Uint8Array(1000).fill(0x7b))).to.throw(/nested/);
    expect(() => decodeRequest(Uint8Array.of(0x02, 0))).to.throw(/field number/);
    expect(() => decodeRequest(Uint8Array.of(0x0a, 1, 0xff))).to.throw(/UTF-8/);
  });

  it("reads a negative timeout as Go writes it", () => {
    const minusOne = [0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    expect(decodeRequest(Uint8Array.from(minusOne)).timeoutNano).to.equal(-1);
  });

  it("takes a status of code 0 for success", () => {
    expect(decodeResponse(Uint8Array.of(0x0a, 0, 0x12, 1, 7))).to.deep.equal({ payload: Uint8Array.of(7) });
  });

  it("keeps a hostile metadata key from reaching a prototype", () => {
    const request = { service: "", method: "", payload: new Uint8Array(0), timeoutNano: 0, metadata: {} };
    const metadata = Object.fromEntries([["constructor", ["x"]]]);
    Object.defineProperty(metadata, "__proto__", { value: ["y"], enumerable: true });
    const decoded = decodeRequest(body(encodeRequest(1, 0, { ...request, metadata }, MESSAGE_LENGTH_MAX)));
    expect(Object.getPrototypeOf(decoded.metadata)).to.equal(null);
    expect(decoded.metadata.constructor).to.deep.equal(["x"]);
    expect(Object.getOwnPropertyDescriptor(decoded.metadata, "__proto__")?.value).to.deep.equal(["y"]);
  });

  it("shortens an error that is longer than a message may be, and never sends a failure as success", () => {
    const long = encodeStatus(1, new StatusError(Code.ABORTED, "\u20ac".repeat(5000)), 2048);
    expect(long.length).to.be.at.most(2048 + MESSAGE_HEADER_LENGTH);
    expect(decodeResponse(body(long)).status?.code).to.equal(Code.ABORTED);
    const ok = encodeStatus(1, new StatusError(Code.OK, "thrown"), 2048);
    expect(decodeResponse(body(ok)).status?.code).to.equal(Code.UNKNOWN);
  });
});
