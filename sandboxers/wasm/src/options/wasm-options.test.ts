import { runtimeoptions } from "@kuasar/proto/containerd";
import { assert } from "chai";
import { parseWasmOptions } from "./wasm-options.ts";

const toml = (text: string) => ({
  typeUrl: "runtimeoptions.v1.Options",
  value: runtimeoptions.v1.Options.encode({ configBody: Buffer.from(text) }),
});

describe("the options of a Wasm runtime", () => {
  it("name an engine, beside all that runc has", () => {
    const options = parseWasmOptions(toml('engine = "wasmedge"\nSystemdCgroup = true\n'));
    assert.equal(options?.engine, "wasmedge");
    assert.isTrue(options?.runc.systemdCgroup);
  });

  it("need not be there, nor name an engine", () => {
    assert.isUndefined(parseWasmOptions(undefined));
    assert.isUndefined(parseWasmOptions(toml('sandboxer = "wasm"'))?.engine);
  });

  it("are refused with what was expected", () => {
    assert.throws(
      () => parseWasmOptions(toml('engine = "wasmer"')),
      /engine is "wasmer", expected one of wasmedge, wasmtime/,
    );
    assert.throws(() => parseWasmOptions(toml("motor = 1")), /unknown key "motor"/);
  });
});
