import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { loadConfig } from "./load-config.ts";

describe("the config file", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const load = (text: string) => {
    writeFileSync(join(folder, "c.toml"), text);
    return loadConfig(join(folder, "c.toml"), { runtime: "runc", size: 1 });
  };

  it("changes what it names and leaves the rest", () => {
    expect(load('runtime = "crun"\nlog_level = "debug"')).to.deep.equal({
      runtime: "crun",
      size: 1,
      log_level: "debug",
    });
    expect(loadConfig(undefined, { runtime: "runc" })).to.deep.equal({ runtime: "runc", log_level: "info" });
  });

  it("is refused with the reason for whatever is wrong with it", () => {
    expect(() => load("runtime = 1")).to.throw(/c\.toml: runtime is 1, expected a string/);
    expect(() => load("toString = 1")).to.throw(/unknown key "toString"; known are log_level, runtime, size/);
    expect(() => load("\nruntime = ")).to.throw(/c\.toml:2:\d+: not TOML/);
    expect(() => load('log_level = "loud"')).to.throw(/log level is "loud", expected one of trace/);
    expect(() => loadConfig(join(folder, "none"), {})).to.throw(/ENOENT/);
  });

  it("has tables and lists, and all that is wrong in them is said at once", () => {
    const defaults = { engine: { size: 1, words: ["a"], inner: { on: false } } };
    const nested = (text: string) => {
      writeFileSync(join(folder, "n.toml"), text);
      return loadConfig(join(folder, "n.toml"), defaults);
    };
    expect(nested('[engine]\nwords = ["b", "c"]\n[engine.inner]\non = true').engine).to.deep.equal({
      size: 1,
      words: ["b", "c"],
      inner: { on: true },
    });
    expect(() => nested('[engine]\nsize = "1"\nwords = [1]\nspeed = 2\n[engine.inner]\noff = 1')).to.throw(
      'n.toml: engine.size is "1", expected a number; engine.words is [1], expected a list of strings; ' +
        'unknown key "engine.speed"; known are size, words, inner; unknown key "engine.inner.off"; known are on',
    );
    expect(() => nested("engine = 1")).to.throw("engine is 1, expected a table");
    expect(() => nested("[engine]\ninner = 2024-01-01")).to.throw(/engine.inner is .*, expected a table/);
  });
});
