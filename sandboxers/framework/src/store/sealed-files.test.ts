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
import { assert } from "chai";
import type { Logger } from "../log/logger.ts";
import { createSealedFiles, NotMade, type SealedFiles } from "./sealed-files.ts";

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} } as unknown as Logger;
const LIMIT_BYTES = 1000;

describe("files that are kept, under a seal", () => {
  let folder: string;
  let files: SealedFiles;
  let made: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-files-"));
    files = createSealedFiles(folder, LIMIT_BYTES, quiet);
    made = [];
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const never = () => Promise.reject(new Error("it is being made already"));
  const obtain = (name: string, content = `content of ${name}`) =>
    files.obtain(name, async (draft) => {
      made.push(name);
      await new Promise((resolve) => setTimeout(resolve, 5));
      writeFileSync(join(draft, "result"), content);
      return "result";
    });

  it("are made once, however many ask at once", async () => {
    const answers = await Promise.all([obtain("a"), obtain("a"), obtain("b"), obtain("a2")]);
    const again = await obtain("a");
    assert.deepEqual(made.sort(), ["a", "a2", "b"]);
    assert.equal(readFileSync(again.path, "utf8"), "content of a");
    assert.equal(again.path, answers[0]?.path);
    assert.isTrue(again.wasThere);
  });

  it("are there after a restart", async () => {
    await obtain("a");
    files = createSealedFiles(folder, LIMIT_BYTES, quiet);
    assert.isTrue((await obtain("a")).wasThere);
    assert.lengthOf(made, 1);
  });

  it("are made again when their file is not what was made any more", async () => {
    const { path } = await obtain("a");
    writeFileSync(path, "another's content");
    const { path: same, wasThere } = await obtain("a");
    assert.isFalse(wasThere);
    assert.equal(readFileSync(same, "utf8"), "content of a");
  });

  it("are made again when they were changed while no sandboxer ran", async () => {
    const { path } = await obtain("a");
    writeFileSync(path, "another's content");
    files = createSealedFiles(folder, LIMIT_BYTES, quiet);
    assert.equal(readFileSync((await obtain("a")).path, "utf8"), "content of a");
  });

  it("are not taken from where a link leads", async () => {
    const secret = join(folder, ".secret");
    writeFileSync(secret, "the host's");
    const taken = files.obtain("a", async (draft) => {
      symlinkSync(secret, join(draft, "result"));
      return "result";
    });
    const error = await taken.then(
      () => undefined,
      (reason: Error) => reason,
    );
    assert.match(String(error?.message), /ELOOP/);
  });

  it("leave nothing behind when making fails, and are tried again", async () => {
    const broken = files.obtain("a", async () => {
      throw new Error("no module");
    });
    assert.equal(await broken.catch((error: Error) => error.message), "no module");
    assert.deepEqual(readdirSync(folder), []);
    assert.isFalse((await obtain("a")).wasThere);
  });

  it("are waited for by others until these are to go, and fail for each for a reason of its own", async () => {
    let fail: (error: Error) => void = () => {};
    const makers = files.obtain("a", () => new Promise((_, reject) => (fail = reject)));
    const gone = new AbortController();
    const waits = [gone.signal, undefined].map((signal) => files.obtain("a", never, signal));
    const said = [makers, ...waits].map((work) =>
      work.then(String, (error: Error) => `${error.constructor.name}: ${error.message}`),
    );
    gone.abort();
    assert.match((await said[1]) ?? "", /^NotMade: its container is to go/);
    fail(new Error("its monitor is gone"));
    assert.match((await said[0]) ?? "", /^Error: its monitor is gone/);
    assert.match((await said[2]) ?? "", /^NotMade: its monitor is gone/);
  });

  it("are not kept when one of them alone would take more than all may", async () => {
    for (const _ of [1, 2]) {
      const kept = await obtain("large", "x".repeat(LIMIT_BYTES + 1)).catch((error: Error) => error);
      assert.instanceOf(kept, NotMade);
    }
    assert.deepEqual([made, readdirSync(folder)], [["large"], []]);
  });

  it("take the place of what somebody else has put there, and of what a killed sandboxer has left half made", async () => {
    const { path } = await obtain("a");
    rmSync(path);
    symlinkSync("/etc/passwd", path);
    assert.isFalse((await obtain("a")).wasThere);
    rmSync(path);
    mkdirSync(join(path, "folder"), { recursive: true });
    assert.equal(readFileSync((await obtain("a")).path, "utf8"), "content of a");
    mkdirSync(join(folder, ".draft-1-1"));
    files.tidy();
    assert.deepEqual(readdirSync(folder).sort(), [basename(path), `${basename(path)}.sha256`]);
  });

  it("make room for new ones, the least recently used first, but for those about to be run", async () => {
    const used = await obtain("used", "x".repeat(400));
    const old = await obtain("old", "x".repeat(400));
    old.release();
    for (const [path, time] of [
      [used.path, 1],
      [old.path, 2],
    ] as const) {
      utimesSync(path, time, time);
    }
    const next = await obtain("new", "x".repeat(400));
    assert.deepEqual(
      [used, old, next].map(({ path }) => existsSync(path)),
      [true, false, true],
    );
  });
});
