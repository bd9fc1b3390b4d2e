import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Logger } from "@kuasar/framework/log/logger";
import { assert } from "chai";
import { type CompiledModules, createCompiledModules, type ModuleKey } from "./compiled-modules.ts";
import { NotCompiled } from "./not-compiled.ts";

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} } as unknown as Logger;
const LIMIT_BYTES = 1000;

describe("modules compiled ahead of time", () => {
  let folder: string;
  let modules: CompiledModules;
  let compiled: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-modules-"));
    modules = createCompiledModules(folder, LIMIT_BYTES, quiet);
    compiled = [];
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const key = (digest: string, version = "1.0.0"): ModuleKey => ({ digest, engine: "wasmtime", version });

  const never = () => Promise.reject(new Error("it is being compiled already"));
  const obtain = (of: ModuleKey, content = `code of ${of.digest}`) =>
    modules.obtain(of, async (draft) => {
      compiled.push(`${of.digest} ${of.version}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      writeFileSync(join(draft, "result"), content);
      return "result";
    });

  it("are compiled once for a module and an engine's version, however many ask at once", async () => {
    const answers = await Promise.all([
      obtain(key("a")),
      obtain(key("a")),
      obtain(key("b")),
      obtain(key("a", "2.0.0")),
    ]);
    const again = await obtain(key("a"));
    assert.deepEqual(compiled.sort(), ["a 1.0.0", "a 2.0.0", "b 1.0.0"]);
    assert.equal(readFileSync(again.path, "utf8"), "code of a");
    assert.equal(again.path, answers[0]?.path);
    assert.isTrue(again.wasThere);
  });

  it("are there after a restart", async () => {
    await obtain(key("a"));
    modules = createCompiledModules(folder, LIMIT_BYTES, quiet);
    assert.isTrue((await obtain(key("a"))).wasThere);
    assert.lengthOf(compiled, 1);
  });

  it("are compiled again when their file is not what was compiled any more", async () => {
    const { path } = await obtain(key("a"));
    writeFileSync(path, "another's code");
    const { path: same, wasThere } = await obtain(key("a"));
    assert.isFalse(wasThere);
    assert.equal(readFileSync(same, "utf8"), "code of a");
  });

  it("are compiled again when they were changed while no sandboxer ran", async () => {
    const { path } = await obtain(key("a"));
    writeFileSync(path, "another's code");
    modules = createCompiledModules(folder, LIMIT_BYTES, quiet);
    assert.equal(readFileSync((await obtain(key("a"))).path, "utf8"), "code of a");
  });

  it("are not taken from where a link leads", async () => {
    const secret = join(folder, ".secret");
    writeFileSync(secret, "the host's");
    const taken = modules.obtain(key("a"), async (draft) => {
      symlinkSync(secret, join(draft, "result"));
      return "result";
    });
    const error = await taken.then(
      () => undefined,
      (reason: Error) => reason,
    );
    assert.match(String(error?.message), /ELOOP/);
  });

  it("leave nothing behind when compiling fails, and are tried again", async () => {
    const broken = modules.obtain(key("a"), async () => {
      throw new Error("no module");
    });
    assert.equal(await broken.catch((error: Error) => error.message), "no module");
    assert.deepEqual(readdirSync(folder), []);
    assert.isFalse((await obtain(key("a"))).wasThere);
  });

  it("are waited for by others until these are to go, and fail for each for a reason of its own", async () => {
    let fail: (error: Error) => void = () => {};
    const makers = modules.obtain(key("a"), () => new Promise((_, reject) => (fail = reject)));
    const gone = new AbortController();
    const waits = [gone.signal, undefined].map((signal) => modules.obtain(key("a"), never, signal));
    const said = [makers, ...waits].map((work) =>
      work.then(String, (error: Error) => `${error.constructor.name}: ${error.message}`),
    );
    gone.abort();
    assert.match((await said[1]) ?? "", /^NotCompiled: its container is to go/);
    fail(new Error("its monitor is gone"));
    assert.match((await said[0]) ?? "", /^Error: its monitor is gone/);
    assert.match((await said[2]) ?? "", /^NotCompiled: its monitor is gone/);
  });

  it("are not kept when one of them alone would take more than all may", async () => {
    for (const _ of [1, 2]) {
      const kept = await obtain(key("large"), "x".repeat(LIMIT_BYTES + 1)).catch((error: Error) => error);
      assert.instanceOf(kept, NotCompiled);
    }
    assert.deepEqual([compiled, readdirSync(folder)], [["large 1.0.0"], []]);
  });

  it("take the place of what somebody else has put there, and of what a killed sandboxer has left half made", async () => {
    const { path } = await obtain(key("a"));
    rmSync(path);
    symlinkSync("/etc/passwd", path);
    assert.isFalse((await obtain(key("a"))).wasThere);
    rmSync(path);
    mkdirSync(join(path, "folder"), { recursive: true });
    assert.equal(readFileSync((await obtain(key("a"))).path, "utf8"), "code of a");
    mkdirSync(join(folder, ".draft-1-1"));
    modules.tidy();
    assert.deepEqual(readdirSync(folder).sort(), [basename(path), `${basename(path)}.sha256`]);
  });

  it("make room for new ones, the least recently used first, but for those about to be run", async () => {
    const used = await obtain(key("used"), "x".repeat(400));
    const old = await obtain(key("old"), "x".repeat(400));
    old.release();
    for (const [path, time] of [
      [used.path, 1],
      [old.path, 2],
    ] as const) {
      utimesSync(path, time, time);
    }
    const next = await obtain(key("new"), "x".repeat(400));
    assert.deepEqual(
      [used, old, next].map(({ path }) => existsSync(path)),
      [true, false, true],
    );
  });
});
