import { assert } from "chai";
import fc from "fast-check";
import { hasCustomSection, moduleKind } from "./module-kind.ts";

const reading = (bytes: Uint8Array) => async (offset: number, length: number) =>
  bytes.subarray(offset, Math.min(offset + length, bytes.length));
const kindOf = (bytes: Uint8Array) => moduleKind(reading(bytes));
const kindOfText = (text: string) => kindOf(Buffer.from(text));

const MODULE = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const COMPONENT = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
const section = (id: number, content: string) => [id, content.length, ...Buffer.from(content)];

describe("what kind of module a file is", () => {
  it("is told by the first bytes", async () => {
    assert.equal(await kindOf(Uint8Array.from(MODULE)), "module");
    assert.equal(await kindOf(Uint8Array.from(COMPONENT)), "component");
    assert.isUndefined(await kindOf(Uint8Array.from([0, 0x61, 0x73, 0x6d, 9, 9, 9, 9])));
    assert.isUndefined(await kindOf(Buffer.from("\x7fELF and so on", "latin1")));
    assert.isUndefined(await kindOf(new Uint8Array(0)));
  });

  it("is told of a component by what it exports, not by what it has inside", async () => {
    const exporting = [...COMPONENT, ...section(0, "custom"), ...section(11, "\x01wasi:http/incoming-handler@0.2.3")];
    assert.equal(await kindOf(Uint8Array.from(exporting)), "http component");
    const inside = [...COMPONENT, ...section(4, "wasi:http/incoming-handler@0.2.3"), ...section(11, "\x01run")];
    assert.equal(await kindOf(Uint8Array.from(inside)), "component");
  });

  it("may have a custom section, wherever it is, by its whole name", async () => {
    const has = (...sections: number[][]) =>
      hasCustomSection(reading(Uint8Array.from([...MODULE, ...sections.flat()])), "wasmedge");
    assert.isTrue(await has(section(0, "\x04name"), section(1, "type"), section(0, "\x08wasmedgecode")));
    assert.isFalse(await has(section(0, "\x04name"), section(1, "\x08wasmedge"), section(0, "\x09wasmedges")));
    assert.isFalse(await has());
    assert.isTrue(await has(...Array.from({ length: 10_000 }, () => section(0, "\x00"))), "too many to look at");
  });

  it("is told of a text by how it begins, whatever comments come before", async () => {
    assert.equal(await kindOfText(";; a comment\n (; another ;) (module)"), "text");
    assert.equal(await kindOfText("(component)"), "component");
    assert.equal(
      await kindOfText('(component (export "wasi:http/incoming-handler@0.2.0" (instance 0)))'),
      "http component",
    );
    assert.isUndefined(await kindOfText("#!/bin/sh"));
  });

  it("is answered for any file whatsoever", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (tail) => {
        await kindOf(tail);
        await kindOf(Uint8Array.from([...COMPONENT, ...tail]));
      }),
    );
  });
});
