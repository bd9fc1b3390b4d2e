import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import protobuf from "protobufjs";
import { type Facts, factsOf, parseAll } from "./contract-facts.ts";
import { factFiles, fetchFacts } from "./fetch-facts.mjs";

const sources = fileURLToPath(new URL("./src", import.meta.url));
const ourFiles = readdirSync(sources, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".proto"));

/** Ours alone, or (google.rpc) not packaged as a .proto file. */
const withoutFacts = ["kuasar.", "google.rpc."];

/** In containerd 2's api/ (services/sandbox, runtime/sandbox, types, types/runc) and not yet in the packaged 1.7. */
const containerd2 = [
  "containerd.runc.v1.CheckpointOptions.parent_path",
  "containerd.runc.v1.Options.task_api_address",
  "containerd.runc.v1.Options.task_api_version",
  "containerd.runtime.sandbox.v1.CreateSandboxRequest.annotations",
  "containerd.runtime.sandbox.v1.Sandbox.SandboxMetrics",
  "containerd.runtime.sandbox.v1.SandboxMetricsRequest",
  "containerd.runtime.sandbox.v1.SandboxMetricsResponse",
  "containerd.runtime.sandbox.v1.StartSandboxResponse.spec",
  "containerd.services.sandbox.v1.Controller.Metrics",
  "containerd.services.sandbox.v1.Controller.Update",
  "containerd.services.sandbox.v1.ControllerCreateRequest.annotations",
  "containerd.services.sandbox.v1.ControllerCreateRequest.sandbox",
  "containerd.services.sandbox.v1.ControllerCreateRequest.sandboxer",
  "containerd.services.sandbox.v1.ControllerMetricsRequest",
  "containerd.services.sandbox.v1.ControllerMetricsResponse",
  "containerd.services.sandbox.v1.ControllerPlatformRequest.sandboxer",
  "containerd.services.sandbox.v1.ControllerShutdownRequest.sandboxer",
  "containerd.services.sandbox.v1.ControllerStartRequest.sandboxer",
  "containerd.services.sandbox.v1.ControllerStartResponse.address",
  "containerd.services.sandbox.v1.ControllerStartResponse.spec",
  "containerd.services.sandbox.v1.ControllerStartResponse.version",
  "containerd.services.sandbox.v1.ControllerStatusRequest.sandboxer",
  "containerd.services.sandbox.v1.ControllerStatusResponse.address",
  "containerd.services.sandbox.v1.ControllerStatusResponse.version",
  "containerd.services.sandbox.v1.ControllerStopRequest.sandboxer",
  "containerd.services.sandbox.v1.ControllerUpdateRequest",
  "containerd.services.sandbox.v1.ControllerUpdateResponse",
  "containerd.services.sandbox.v1.ControllerWaitRequest.sandboxer",
  "containerd.types.Sandbox.sandboxer",
];

/** Upstream's that no method of ours uses. */
const leftOut = [
  /^containerd\.services\.content\.v1\.(?!ReadContent|Content$|Content\.Read$)/,
  /^containerd\.services\.sandbox\.v1\.Store/,
  /^containerd\.linux\.runc\.(RuncOptions|ProcessDetails)/,
  /^containerd\.task\.v[23]\.ExecProcessResponse$/,
  /^containerd\.runtime\.sandbox\.v1\.UpdateSandbox/,
  /^ttrpc\.StringList/,
  /^Status/,
];

const within = (name: string, list: string[]) => list.some((entry) => name === entry || name.startsWith(`${entry}.`));

describe("contracts", () => {
  const ours = parseAll(
    new protobuf.Root(),
    ourFiles.map((file) => readFileSync(join(sources, file), "utf8")),
  );

  it("import only files that are there, and lie where their package says", () => {
    for (const file of ourFiles) {
      const { imports, package: name } = protobuf.parse(readFileSync(join(sources, file), "utf8"), new protobuf.Root());
      for (const path of imports ?? []) expect(ourFiles, file).to.include(path);
      expect(file.slice(0, file.lastIndexOf("/")), file).to.equal(name?.replaceAll(".", "/"));
    }
  });

  describe("beside Debian's packaged .proto files", () => {
    let ourFacts: Facts;
    let theirFacts: Facts;

    before("fetch them", async function () {
      this.timeout(180_000);
      const folder = await fetchFacts().catch((error: Error) => error);
      if (folder instanceof Error) {
        process.stderr.write(`skipped: no upstream .proto files to compare with: ${folder.message}\n`);
        return this.skip();
      }
      ourFacts = factsOf(ours);
      theirFacts = new Map();
      // ttrpc's files by themselves: the Status there has no package, and others would take it for theirs.
      const ofTtrpc = (file: string) => file.startsWith("github.com/containerd/ttrpc/");
      for (const files of [factFiles.filter(ofTtrpc), factFiles.filter((file) => !ofTtrpc(file))]) {
        const root = new protobuf.Root();
        for (const name of ["any", "empty", "timestamp", "field_mask"]) {
          root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)?.nested ?? {});
        }
        const texts = files.map((file) => readFileSync(join(folder, file), "utf8"));
        factsOf(parseAll(root, texts), theirFacts);
      }
      // The packaged file has a Status of its own, with the code alone; Go's ttrpc sends google.rpc.Status.
      theirFacts.set("ttrpc.Response.status", "1: google.rpc.Status");
    });

    it("have the same names, numbers, types and labels", () => {
      const different: string[] = [];
      for (const [name, fact] of ourFacts) {
        if (withoutFacts.some((prefix) => name.startsWith(prefix)) || within(name, containerd2)) continue;
        if (theirFacts.get(name) !== fact) different.push(`${name}: ${fact}, upstream ${theirFacts.get(name)}`);
      }
      expect(different).to.deep.equal([]);
    });

    it("lack nothing but what is left out on purpose", () => {
      const missing = [...theirFacts.keys()].filter(
        (name) => !ourFacts.has(name) && !leftOut.some((pattern) => pattern.test(name)),
      );
      expect(missing).to.deep.equal([]);
    });

    it("have the additions of containerd 2 that are listed, and these are in no packaged file", () => {
      for (const name of containerd2) {
        expect(ourFacts.has(name), name).to.equal(true);
        expect(theirFacts.has(name), name).to.equal(false);
      }
    });
  });
});
