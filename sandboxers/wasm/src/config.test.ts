import { assert } from "chai";
import { checkWasmConfig, isSocketAddress, WASM_CONFIG_DEFAULTS } from "./config.ts";

describe("the wasm sandboxer's config", () => {
  it("has defaults that are right", () => {
    assert.deepEqual(checkWasmConfig(WASM_CONFIG_DEFAULTS), WASM_CONFIG_DEFAULTS);
  });

  it("is refused with the key, what was expected and what came", () => {
    const check = (change: object) => () => checkWasmConfig({ ...WASM_CONFIG_DEFAULTS, ...change });
    assert.throws(check({ engine: "v8" }), /engine is "v8", expected one of wasmedge, wasmtime/);
    assert.throws(check({ compiled_modules_mb: 0 }), /compiled_modules_mb is 0, expected a whole number from 1/);
    assert.throws(check({ http_address: "everywhere" }), /http_address is "everywhere", expected ADDRESS:PORT/);
    assert.throws(check({ containerd_address: "x" }), /containerd_address is "x", expected an absolute path/);
    assert.throws(check({ runtime: "youki" }), /runtime is "youki"/);
  });

  it("knows an address and a port", () => {
    for (const good of ["0.0.0.0:8080", "[::]:80", "127.0.0.1:65535"]) assert.isTrue(isSocketAddress(good), good);
    for (const bad of ["8080", "::80", "host:80", "0.0.0.0:65536", "0.0.0.0:80 --dir /"])
      assert.isFalse(isSocketAddress(bad), bad);
  });
});
