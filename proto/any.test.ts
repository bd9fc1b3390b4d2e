import { holds, OciTypeUrl, packAny, unpackAny } from "@kuasar/proto/any";
import { packJson, unpackJson } from "@kuasar/proto/any-json";
import { containerd, runtime, runtimeoptions } from "@kuasar/proto/containerd";
import * as shim from "@kuasar/proto/shim";
import { expect } from "chai";

describe("Any", () => {
  it("holds a message under its bare full name, as containerd's typeurl package has it", () => {
    const { typeUrl } = packAny(containerd.events.TaskExit, { id: "c1" });
    expect(typeUrl).to.equal("containerd.events.TaskExit");
    expect(runtimeoptions.v1.Options.typeName).to.equal("runtimeoptions.v1.Options");
    expect(runtime.v1.PodSandboxConfig.typeName).to.equal("runtime.v1.PodSandboxConfig");
    expect(shim.containerd.runc.v1.Options.typeName).to.equal("containerd.runc.v1.Options");
  });

  it("is unpacked by the type it holds, with protobuf's usual prefix too", () => {
    const any = packAny(shim.containerd.events.TaskExit, { id: "c1", exitStatus: 137 });
    expect(unpackAny(any, containerd.events.TaskExit).exitStatus).to.equal(137);
    const prefixed = { ...any, typeUrl: `type.googleapis.com/${any.typeUrl}` };
    expect(holds(prefixed, containerd.events.TaskExit)).to.equal(true);
    expect(unpackAny(prefixed, containerd.events.TaskExit).id).to.equal("c1");
  });

  it("is refused by another type, with both names in the error", () => {
    const any = packAny(containerd.events.TaskExit, {});
    expect(() => unpackAny(any, containerd.events.TaskStart)).to.throw(
      'expected containerd.events.TaskStart in an Any, got "containerd.events.TaskExit"',
    );
  });

  it("holds an OCI document as JSON, and says what it is if that is damaged", () => {
    const any = packJson(OciTypeUrl.process, { cwd: "/é" });
    expect(unpackJson(any)).to.deep.equal({ cwd: "/é" });
    expect(() => unpackJson({ ...any, value: any.value.subarray(1) })).to.throw(OciTypeUrl.process);
  });
});
