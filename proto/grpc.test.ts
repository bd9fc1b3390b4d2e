import { runtime } from "@kuasar/proto/cri";
import { RuntimeService } from "@kuasar/proto/cri-definitions";
import { ControllerService } from "@kuasar/proto/definitions";
import { grpcService, unaryStub } from "@kuasar/proto/grpc";
import { expect } from "chai";

describe("gRPC services", () => {
  it("have each method's path, streams and codecs, as @grpc/grpc-js wants them", () => {
    const { start } = grpcService(ControllerService);
    expect(start.path).to.equal("/containerd.services.sandbox.v1.Controller/Start");
    const bytes = start.responseSerialize({ sandboxId: "s1", address: "ttrpc+unix:///run/s.sock", version: 2 });
    expect(Buffer.isBuffer(bytes)).to.equal(true);
    expect(start.responseDeserialize(bytes).address).to.equal("ttrpc+unix:///run/s.sock");
    const { getContainerEvents } = grpcService(RuntimeService);
    expect([getContainerEvents.requestStream, getContainerEvents.responseStream]).to.deep.equal([false, true]);
  });

  it("can be called over whatever carries bytes, the streaming methods aside", async () => {
    const paths: string[] = [];
    const stub = unaryStub(RuntimeService, async (path, request) => {
      paths.push(path);
      const { version } = runtime.v1.VersionRequest.decode(request);
      return runtime.v1.VersionResponse.encode({ runtimeName: `for ${version}` });
    });
    expect((await stub.version({ version: "v1" })).runtimeName).to.equal("for v1");
    expect(paths).to.deep.equal(["/runtime.v1.RuntimeService/Version"]);
    expect("getContainerEvents" in stub).to.equal(false);
  });
});
