import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as cri from "@kuasar/proto/cri-definitions";
import * as definitions from "@kuasar/proto/definitions";
import * as services from "@kuasar/proto/services-definitions";
import * as shim from "@kuasar/proto/shim";
import * as shimDefinitions from "@kuasar/proto/shim-definitions";
import { expect } from "chai";
import { generate, generatedFiles } from "./generate.mjs";
import { contracts, messagesOf } from "./message-arbitraries.ts";
import type { Service } from "./message-type.ts";

const shimMessages: string[] = JSON.parse(readFileSync(new URL("./shim-messages.json", import.meta.url), "utf8"));

describe("the generator", () => {
  it("gives the same files every time", () => {
    expect([...generatedFiles()]).to.deep.equal([...generatedFiles()]);
  }).timeout(20_000);

  it("writes a folder once, and leaves no other file in it", () => {
    const folder = mkdtempSync(join(tmpdir(), "proto-gen-"));
    try {
      expect(generate(folder)).to.equal(true);
      expect(generate(folder)).to.equal(false);
      expect(readdirSync(folder).sort()).to.deep.equal([".inputs", ...generatedFiles().keys()].sort());
    } finally {
      rmSync(folder, { recursive: true });
    }
  }).timeout(20_000);

  it("gives the shim the listed messages, those their fields need, and no other", () => {
    const listed = (name: string) =>
      shimMessages.some((entry) => (entry.endsWith("*") ? name.startsWith(entry.slice(0, -1)) : name === entry));
    const needed = ["containerd.types.Metric", "containerd.types.Platform", "containerd.v1.types.ProcessInfo"];
    const got = [...messagesOf(shim)].map(([name]) => name);
    expect(got.filter((name) => !listed(name)).sort()).to.deep.equal(needed);
    for (const entry of shimMessages) {
      const found = entry.endsWith("*") ? got.some((name) => name.startsWith(entry.slice(0, -1))) : got.includes(entry);
      expect(found, entry).to.equal(true);
    }
  });

  it("defines every rpc of a service under its name, with its messages and its streams", () => {
    const modules = [definitions, cri, services, shimDefinitions];
    for (const service of modules.flatMap((module): Service[] => Object.values(module))) {
      const { methods } = contracts.lookupService(service.name);
      expect(Object.values(service.methods).map(({ name }) => name)).to.deep.equal(Object.keys(methods));
      for (const [key, method] of Object.entries(service.methods)) {
        const contract = methods[method.name];
        expect(key).to.equal(method.name.charAt(0).toLowerCase() + method.name.slice(1));
        expect(`.${method.input.typeName}`).to.equal(contract?.resolvedRequestType?.fullName);
        expect(`.${method.output.typeName}`).to.equal(contract?.resolvedResponseType?.fullName);
        expect("serverStreaming" in method).to.equal(contract?.responseStream ?? false);
        expect("clientStreaming" in method).to.equal(contract?.requestStream ?? false);
      }
    }
  });
});
