import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SandboxError } from "@kuasar/framework/error/sandbox-error";
import { containerd, runtimeoptions } from "@kuasar/proto/containerd";
import { expect } from "chai";
import fc from "fast-check";
import { parseRuncOptions } from "./parse-options.ts";
import { DEFAULT_OPTIONS } from "./runc-options.ts";

const runc = (fields: containerd.runc.v1.IOptions) => ({
  typeUrl: "containerd.runc.v1.Options",
  value: containerd.runc.v1.Options.encode(fields),
});
const generic = (fields: runtimeoptions.v1.IOptions) => ({
  typeUrl: "runtimeoptions.v1.Options",
  value: runtimeoptions.v1.Options.encode(fields),
});
const toml = (text: string) => parseRuncOptions(generic({ configBody: Buffer.from(text) }));

describe("the runtime options", () => {
  it("may be missing", () => {
    expect(parseRuncOptions(undefined)).to.equal(undefined);
    expect(parseRuncOptions(generic({}))).to.deep.equal(DEFAULT_OPTIONS);
    expect(toml("\n")).to.deep.equal(DEFAULT_OPTIONS);
  });

  it("may be runc's own message", () => {
    expect(parseRuncOptions(runc({ binaryName: "crun", systemdCgroup: true, ioUid: 7, root: "/r" }))).to.deep.equal({
      ...DEFAULT_OPTIONS,
      binaryName: "crun",
      systemdCgroup: true,
      ioUid: 7,
      root: "/r",
    });
  });

  it("may be what containerd's client gives a single task", () => {
    const { CreateOptions } = containerd.linux.runc;
    const value = CreateOptions.encode({ noPivotRoot: true, ioUid: 7, ioGid: 8, criuImagePath: "/image" });
    expect(parseRuncOptions({ typeUrl: "containerd.linux.runc.CreateOptions", value })).to.deep.equal({
      ...DEFAULT_OPTIONS,
      noPivotRoot: true,
      ioUid: 7,
      ioGid: 8,
      criuImagePath: "/image",
      restoreImage: "/image",
    });
  });

  it("may be TOML with the names that containerd's config uses, in any case", () => {
    const text = 'BinaryName = "/opt/runc"\nsystemdcgroup = true\nIoGid = 5\nsandboxer = "runc"\nruntime = "crun"\n';
    expect(toml(text)).to.deep.equal({
      ...DEFAULT_OPTIONS,
      binaryName: "/opt/runc",
      systemdCgroup: true,
      ioGid: 5,
      runtime: "crun",
    });
  });

  it("may be in a file", () => {
    const folder = mkdtempSync(join(tmpdir(), "kuasar-"));
    const configPath = join(folder, "options.toml");
    writeFileSync(configPath, "NoPivotRoot = true");
    expect(parseRuncOptions(generic({ configPath }))?.noPivotRoot).to.equal(true);
    rmSync(folder, { recursive: true });
    expect(() => parseRuncOptions(generic({ configPath }))).to.throw(/cannot be read/);
    expect(() => parseRuncOptions(generic({ configPath: "x.toml" }))).to.throw(/must be absolute/);
  });

  it("are refused with what was expected and what came", () => {
    expect(() => toml("BinayName = 1")).to.throw(
      /unknown key "BinayName" = .*1.*known are NoPivotRoot.*sandboxer, socket/,
    );
    expect(() => toml('SystemdCgroup = "yes"')).to.throw(/SystemdCgroup is .*yes.*, expected true or false/);
    expect(() => toml("IoUid = -1")).to.throw(/IoUid is .*-1.*, expected a number from 0/);
    expect(() => toml('runtime = "kata"')).to.throw(/runtime is "kata", expected "runc" or "crun"/);
    expect(() => toml("a = 1\nb = = 2")).to.throw(/not TOML: line 2, column \d+/);
    expect(() => parseRuncOptions({ typeUrl: "x.Options", value: new Uint8Array() })).to.throw(/"x.Options", expected/);
    expect(() => parseRuncOptions({ typeUrl: "runtimeoptions.v1.Options", value: Buffer.from([0xff]) })).to.throw(
      /are no/,
    );
    expect(() => parseRuncOptions(generic({ configBody: Buffer.from([0xff, 0xfe]) }))).to.throw(/not UTF-8/);
  });

  it("are either understood or refused with INVALID_ARGUMENT, whatever bytes come", () => {
    const types = fc.constantFrom("containerd.runc.v1.Options", "runtimeoptions.v1.Options", "other");
    const survives = (any: { typeUrl: string; value: Uint8Array }) => {
      try {
        parseRuncOptions(any);
        return true;
      } catch (error) {
        return error instanceof SandboxError && error.code === 3;
      }
    };
    fc.assert(fc.property(types, fc.uint8Array({ maxLength: 200 }), (typeUrl, value) => survives({ typeUrl, value })));
    fc.assert(fc.property(fc.string(), (text) => survives(generic({ configBody: Buffer.from(text) }))));
    const line = fc.tuple(
      fc.constantFrom("Root", "__proto__", "IoUid", "a.b"),
      fc.constantFrom("1", '"x"', "[1]", "1979-05-27"),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) =>
        survives(generic({ configBody: Buffer.from(lines.map(([key, value]) => `${key} = ${value}`).join("\n")) })),
      ),
    );
  });
});
