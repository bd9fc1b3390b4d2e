import { assert } from "chai";
import { entryOf } from "./entry.ts";

describe("the entry of a container", () => {
  it("is a module, with its arguments", () => {
    assert.deepEqual(entryOf(["/app.wasm", "a", "b"]), { module: "/app.wasm", functionName: "", args: ["a", "b"] });
    assert.deepEqual(entryOf(["app.wat"]), { module: "app.wat", functionName: "", args: [] });
  });

  it("is a function of a module, if one is named", () => {
    assert.deepEqual(entryOf(["app.wasm#run"]), { module: "app.wasm", functionName: "run", args: [] });
    assert.deepEqual(entryOf(["a#b.wasm#c#d"]), { module: "a#b.wasm", functionName: "c#d", args: [] });
  });

  it("is none for a Linux program", () => {
    for (const args of [[], ["sh"], ["/bin/wasm"], [".wasm"], ["app.wasm.txt", "app.wasm"]]) {
      assert.isUndefined(entryOf(args), args.join(" "));
    }
  });
});
