import { containerd, google, runtimeoptions } from "@kuasar/proto/shim";
import { expect } from "chai";
import { readRuntimeOptions } from "./runtime-options.ts";

const noFile = (path: string): string => {
  throw new Error(`no such file ${path}`);
};

const any = (typeUrl: string, value: Uint8Array) => google.protobuf.Any.encode({ typeUrl, value });

describe("the runtime's options, as the shim reads them", () => {
  it("name the shim's cgroup in runc's own form", () => {
    const value = containerd.runc.v1.Options.encode({ shimCgroup: "/shims", binaryName: "crun" });
    expect(readRuntimeOptions(any("containerd.runc.v1.Options", value), noFile).shimCgroup).to.equal("/shims");
  });

  it("name it within the generic ones, in whatever case", () => {
    for (const key of ["ShimCgroup", "shimcgroup"]) {
      const configBody = new TextEncoder().encode(`${key} = "/shims"\nsocket = "/run/x.sock"`);
      const value = runtimeoptions.v1.Options.encode({ configBody });
      const options = readRuntimeOptions(any("runtimeoptions.v1.Options", value), noFile);
      expect(options).to.include({ shimCgroup: "/shims", socket: "/run/x.sock" });
    }
  });

  it("are refused where runc's own are damaged", () => {
    const damaged = any("containerd.runc.v1.Options", new Uint8Array([0x0a, 0xff]));
    expect(() => readRuntimeOptions(damaged, noFile)).to.throw("expected an encoded containerd.runc.v1.Options");
  });

  it("say nothing where they are of a type that the shim does not know", () => {
    expect(readRuntimeOptions(any("no.such.Options", new Uint8Array([1])), noFile)).to.deep.equal({});
  });
});
