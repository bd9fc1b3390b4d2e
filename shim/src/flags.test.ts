import { expect } from "chai";
import { parseFlags } from "./flags.ts";

describe("the shim's command line", () => {
  it("is read as containerd 1.7 writes it", () => {
    const flags = parseFlags(
      "-namespace k8s.io -address /run/containerd/containerd.sock -publish-binary /usr/bin/containerd -id a1 -debug start".split(
        " ",
      ),
    );
    expect(flags).to.include({
      namespace: "k8s.io",
      address: "/run/containerd/containerd.sock",
      publishBinary: "/usr/bin/containerd",
      id: "a1",
      debug: true,
      action: "start",
    });
  });

  it("takes Go's other forms of a flag", () => {
    expect(parseFlags(["--namespace=x", "-debug=false", "delete"])).to.include({
      namespace: "x",
      debug: false,
      action: "delete",
    });
  });

  it("names a flag that it does not know", () => {
    expect(() => parseFlags(["-nonesuch", "start"])).to.throw("flag provided but not defined: -nonesuch");
  });

  it("names a flag whose value is missing", () => {
    expect(() => parseFlags(["-id"])).to.throw("flag needs an argument: -id");
  });
});
