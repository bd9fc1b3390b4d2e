import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programPath } from "@kuasar/install/programs";
import { SandboxerProcess } from "@kuasar/install/sandboxer-process";
import { assert } from "chai";
import { execa } from "execa";

const NOBODY = 65_534;

describe("A sandboxer refuses to start, says why and touches nothing", function () {
  this.timeout(20_000);
  let folder: string;
  let directory: string;
  let socket: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-refuses-"));
    directory = join(folder, "state");
    socket = join(folder, "s.sock");
    mkdirSync(directory, { mode: 0o700 });
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const everything = () => (readdirSync(folder, { recursive: true }) as string[]).sort();

  async function refuses(told: RegExp): Promise<void> {
    const before = everything();
    const args = ["--listen", socket, "--dir", directory];
    const { exitCode, stderr } = await execa(programPath("runc-sandboxer"), args, { reject: false, timeout: 10_000 });
    assert.equal(exitCode, 1, stderr);
    assert.match(stderr, told);
    assert.deepEqual(everything(), before);
  }

  const record = (change: object) => {
    mkdirSync(join(directory, "k8s.io", "pod", "tasks"), { recursive: true });
    const whole = { version: 1, kind: "runc", namespace: "k8s.io", id: "pod", state: "ready", bundle: "", lone: false };
    const rest = { netnsPath: "", monitorAddress: "unix:///nowhere", createdAt: {}, pid: 0, startTime: 0, engine: {} };
    const file = join(directory, "k8s.io", "pod", "sandbox.json");
    writeFileSync(file, `${JSON.stringify({ ...whole, ...rest, ...change })}\n`);
    return file;
  };

  it("where a line of its store is no JSON", async () => {
    writeFileSync(record({}), "{\n");
    await refuses(/sandbox\.json cannot be read/);
  });

  it("where a later version has written its store", async () => {
    record({ version: 2 });
    await refuses(/format version 2, written by a later sandboxer/);
  });

  it("where another kind of sandboxer has written its store", async () => {
    record({ kind: "wasm" });
    await refuses(/of kind wasm, expected runc/);
  });

  it("where the folder holds something else", async () => {
    mkdirSync(join(directory, "user", "photos"), { recursive: true });
    await refuses(/user\/photos\/sandbox\.json cannot be read/);
  });

  it("where others may write to the folder", async () => {
    chmodSync(directory, 0o777);
    await refuses(/has mode 0777: expected nobody but its owner to write there/);
  });

  it("where the folder is somebody else's", async () => {
    chownSync(directory, NOBODY, NOBODY);
    await refuses(/belongs to uid 65534, expected 0/);
  });

  it("where another process serves its socket", async () => {
    const other = createServer().listen(socket);
    try {
      await refuses(/already served by another process/);
    } finally {
      other.close();
    }
  });

  it("where another sandboxer uses its folder; where that one was killed it starts", async () => {
    const places = { program: programPath("runc-sandboxer"), directory, logFile: join(folder, "log") };
    const first = new SandboxerProcess({ ...places, socket: join(folder, "first.sock") });
    await first.start();
    await refuses(/is in use by another sandboxer/);
    await first.kill("SIGKILL");
    const next = new SandboxerProcess({ ...places, socket: join(folder, "first.sock") });
    await next.start();
    await next.kill("SIGTERM");
  });
});

describe("A sandboxer that is started on a folder with other people's hidden files", function () {
  this.timeout(20_000);

  it("leaves them alone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kuasar-hidden-"));
    mkdirSync(join(folder, "user", ".ssh"), { recursive: true });
    mkdirSync(join(folder, "empty"));
    const options = { program: programPath("runc-sandboxer"), directory: folder, socket: join(folder, "s.sock") };
    const sandboxer = new SandboxerProcess({ ...options, logFile: join(folder, "log") });
    await sandboxer.start();
    await sandboxer.kill("SIGTERM");
    assert.includeMembers(readdirSync(folder), ["user", "empty"]);
    assert.deepEqual(readdirSync(join(folder, "user")), [".ssh"]);
    rmSync(folder, { recursive: true });
  });
});
