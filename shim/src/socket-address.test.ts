import { createHash } from "node:crypto";
import { expect } from "chai";
import fc from "fast-check";
import { sha256 } from "./sha256.ts";
import { socketAddress } from "./socket-address.ts";

describe("a shim's socket", () => {
  it("has the digest that any other SHA-256 gives", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(sha256(bytes)).to.equal(createHash("sha256").update(bytes).digest("hex"));
      }),
    );
  });

  it("is where the runc shim would have its own for the same group", () => {
    const digest = createHash("sha256").update("/run/containerd/containerd.sock/k8s.io/pod1").digest("hex");
    expect(socketAddress("/run/containerd/containerd.sock", "k8s.io", "pod1")).to.equal(
      `unix:///run/containerd/s/${digest}`,
    );
  });
});
