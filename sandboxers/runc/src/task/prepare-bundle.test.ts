import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { isLater, prepareSpec, rootfsFolder } from "./prepare-bundle.ts";

describe("a container's bundle", () => {
  let bundle: string;
  beforeEach(() => {
    bundle = mkdtempSync(join(tmpdir(), "kuasar-"));
  });
  afterEach(() => rmSync(bundle, { recursive: true }));

  const config = () => join(bundle, "config.json");
  const write = (spec: unknown) => writeFileSync(config(), JSON.stringify(spec));

  it("says what the sandboxer must know, and is not touched for it", () => {
    write({ ociVersion: "1.1.0", linux: { namespaces: [{ type: "pid" }], cgroupsPath: "/k8s.io/c1" } });
    const before = statSync(config()).ino;
    expect(prepareSpec(bundle, undefined, undefined)).to.deep.equal({
      hooksAtStart: false,
      killOnExit: false,
      plainDelete: true,
      wantedCgroup: "/k8s.io/c1",
      standIns: [],
    });
    expect(statSync(config()).ino).to.equal(before);
  });

  it("is one whose other processes are ended with the first, unless its pid namespace does that", () => {
    write({ linux: { namespaces: [{ type: "pid", path: "/proc/1/ns/pid" }] } });
    expect(prepareSpec(bundle, undefined, undefined).killOnExit).to.equal(true);
    write({ hooks: { poststart: [{ path: "/x" }], poststop: [{ path: "/x" }] } });
    expect(prepareSpec(bundle, undefined, undefined)).to.include({
      killOnExit: true,
      hooksAtStart: true,
      plainDelete: false,
    });
  });

  it("gets a version that its runtime accepts, and everything else stays", () => {
    write({ ociVersion: "1.1.0", process: { args: ["x"] }, odd: { kept: true } });
    prepareSpec(bundle, undefined, "1.0.0");
    expect(JSON.parse(readFileSync(config(), "utf8"))).to.deep.equal({
      ociVersion: "1.0.0",
      process: { args: ["x"] },
      odd: { kept: true },
    });
    expect([isLater("1.0.2", "1.0.0"), isLater("1.1.0-rc.1", "1.0.0"), isLater("2.0.0", "1.9.0")]).to.deep.equal([
      false,
      true,
      true,
    ]);
  });

  it("is refused if it has no spec, or one that is none", () => {
    expect(() => prepareSpec(bundle, undefined, undefined)).to.throw(/has no config.json/);
    writeFileSync(config(), "{");
    expect(() => prepareSpec(bundle, undefined, undefined)).to.throw(/not JSON/);
    for (const spec of [[], 1, { linux: 1 }, { mounts: {} }, { mounts: [1] }, { linux: { namespaces: "x" } }]) {
      write(spec);
      expect(() => prepareSpec(bundle, undefined, undefined)).to.throw(/not an OCI runtime spec/);
    }
  });

  it("has a folder for its rootfs, made once", () => {
    expect(rootfsFolder(bundle)).to.equal(join(bundle, "rootfs"));
    expect(rootfsFolder(bundle)).to.equal(join(bundle, "rootfs"));
  });
});
