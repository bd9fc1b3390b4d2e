import { expect } from "chai";
import { sha256 } from "./platform/node/sys-digest.ts";
import { socketAddress } from "./socket-address.ts";

describe("a shim's socket", () => {
  it("is where the runc shim would have its own for the same group", () => {
    const digest = sha256("/run/containerd/containerd.sock/k8s.io/pod1");
    expect(socketAddress("/run/containerd/containerd.sock", "k8s.io", "pod1", sha256)).to.equal(
      `unix:///run/containerd/s/${digest}`,
    );
  });
});
