import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { kuasar } from "@kuasar/proto/containerd";
import { SandboxesService } from "@kuasar/proto/definitions";
import { expect } from "chai";
import { Code, createClient, createStub, type StatusError } from "ttrpc-ts";
import { createTransportPair } from "ttrpc-ts/memory";
import { silentLogger } from "../log/logger.ts";
import { createTtrpcServer } from "../server/ttrpc-server.ts";
import { createNodeFixture, NAMESPACE, type NodeFixture } from "../testing/node-fixture.ts";

type Start = kuasar.sandboxes.v1.IExecStart;
type Request = kuasar.sandboxes.v1.ExecRequest;

describe("what the command kuasar asks of a sandboxer", () => {
  let node: NodeFixture;

  beforeEach(async () => {
    node = await createNodeFixture();
  });

  afterEach(() => node.close());

  function connect() {
    const [near, far] = createTransportPair();
    createTtrpcServer(node.domain, silentLogger).serve(far);
    return createStub(SandboxesService, createClient(near));
  }

  async function refusal(start?: Start): Promise<StatusError> {
    const session = connect().exec();
    await session.send({ start: start ?? null, stdin: new Uint8Array(0), stdinEnd: !start } as Request);
    return await session.receive().then(
      () => expect.fail("expected a refusal"),
      (error) => error as StatusError,
    );
  }

  const start: Start = { namespace: NAMESPACE, sandboxId: "pod1", program: Buffer.from("program"), programName: "sh" };

  it("has each pod's name: from its bundle's spec, or from the config that it was made of", async () => {
    const bundle = join(node.dir, "..", "bundles", "pod1");
    mkdirSync(bundle, { recursive: true });
    const annotations = { "io.kubernetes.cri.sandbox-name": "web", "io.kubernetes.cri.sandbox-namespace": "shop" };
    writeFileSync(join(bundle, "config.json"), JSON.stringify({ ociVersion: "1.0.2", annotations }));
    await node.domain.sandboxes.create(node.sandboxRequest("pod1", { bundle }));
    const pod = {
      ...{ name: "db", namespace: "shop", hostname: "", cgroupParent: "", sysctls: {}, supplementalGroups: [] },
      ...{ hostNetwork: false, hostPid: false, hostIpc: false, userNamespace: false },
    };
    await node.domain.sandboxes.create(node.sandboxRequest("pod2", { pod }));
    await node.domain.sandboxes.create(node.sandboxRequest("pod3"));
    await node.restart();
    const { kind, sandboxes } = await connect().list({});
    expect(kind).to.equal("fake");
    expect(sandboxes.map(({ id, podName, podNamespace }) => [id, podName, podNamespace]).sort()).to.deep.equal([
      ["pod1", "web", "shop"],
      ["pod2", "db", "shop"],
      ["pod3", "", ""],
    ]);
  });

  it("refuses a process in a sandbox that is no machine", async () => {
    await node.domain.sandboxes.create(node.sandboxRequest("pod1"));
    await node.domain.sandboxes.start(NAMESPACE, "pod1", 0);
    expect(await refusal(start)).to.include({ code: Code.UNIMPLEMENTED });
    await node.domain.sandboxes.stop(NAMESPACE, "pod1", 0);
  });

  it("refuses a request that names no program, no sandbox, or nothing at all", async () => {
    for (const [wrong, code] of [
      [undefined, Code.INVALID_ARGUMENT],
      [{ ...start, sandboxId: "../x" }, Code.INVALID_ARGUMENT],
      [{ ...start, programName: "a/b" }, Code.INVALID_ARGUMENT],
      [{ ...start, program: new Uint8Array(0) }, Code.INVALID_ARGUMENT],
      [{ ...start, program: new Uint8Array((3 << 20) + 1) }, Code.INVALID_ARGUMENT],
      [start, Code.NOT_FOUND],
    ] as const) {
      expect(await refusal(wrong)).to.include({ code });
    }
  });
});
