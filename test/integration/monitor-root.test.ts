import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { labParts } from "@kuasar/install/parts";
import { waitUntil } from "@kuasar/install/wait-until";
import { kuasar } from "@kuasar/proto/containerd";
import type { MonitorService } from "@kuasar/proto/definitions";
import { Code, type StatusError, type Stub } from "ttrpc-ts";
import { type LiveMonitor, startMonitor } from "./live-monitor.ts";

const api = kuasar.monitor.v1;
const SIGKILL = 9;

/** What a FIFO holds by now. */
function readNow(fifo: number): string {
  const buffer = Buffer.alloc(4096);
  try {
    return buffer.toString("utf8", 0, readSync(fifo, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return "";
    throw error;
  }
}

const OWN_MOUNTS = [{ type: "mount", path: "" }];
/** BPF: whatever the call, it fails with EPERM if its number is that of uname (x86-64: 63), else it is allowed. */
const NO_UNAME = Uint8Array.from([
  ...[0x20, 0, 0, 0, 0, 0, 0, 0],
  ...[0x15, 0, 0, 1, 63, 0, 0, 0],
  ...[0x06, 0, 0, 0, 1, 0, 5, 0],
  ...[0x06, 0, 0, 0, 0, 0, 0xff, 0x7f],
]);

describe("kuasar-monitor, for a process with a root of its own", function () {
  this.timeout(30_000);

  let live: LiveMonitor;
  let folder: string;
  let busybox: string;
  let monitor: Stub<typeof MonitorService>;

  beforeEach(async () => {
    ({ busybox } = await labParts());
    live = await startMonitor();
    ({ folder, monitor } = live);
  });

  afterEach(() => live.end());

  const bind = (source: string, target: string, options: string[] = [], within = "") => ({
    type: "bind",
    source,
    target,
    options,
    within,
  });

  /** A shell with a root of its own; answers with its output and exit status. */
  async function shell(script: string, fields: kuasar.monitor.v1.ISpawnRequest = {}) {
    const stdout = join(folder, "out");
    rmSync(stdout, { force: true });
    const argv = [busybox, "sh", "-c", script];
    const request = { key: "x", argv, stdio: { stdout, stderr: stdout }, namespaces: OWN_MOUNTS, ...fields };
    await monitor.spawn(api.SpawnRequest.create(request));
    const { exitStatus } = await monitor.wait({ key: "x" });
    await monitor.release({ key: "x" });
    return { output: readFileSync(stdout, "utf8"), exitStatus };
  }

  const rejects = (promise: Promise<unknown>, code: Code, message: RegExp) =>
    assert.rejects(promise, (error: StatusError) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });

  it("shows what was mounted there, and nothing else of the host", async () => {
    mkdirSync(join(folder, "data"));
    writeFileSync(join(folder, "data", "file"), "content");
    const root = [bind(join(folder, "data"), "/a/data"), bind(join(folder, "data", "file"), "/b/one")];
    const { output } = await shell("cd /; echo * a/* a/data/* b/*; read -r line </b/one; echo $line", { root });
    assert.equal(output, "a b a/data a/data/file b/one\ncontent\n");
    assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(join(folder, "data")));
  });

  it("has mounts that are read-only where they are asked to be", async () => {
    mkdirSync(join(folder, "data"));
    const script = "echo x >/ro/file; echo x >/rw/file; echo x >/file";
    const root = [bind(join(folder, "data"), "/ro", ["ro"]), bind(join(folder, "data"), "/rw")];
    const { output } = await shell(script, { root });
    assert.match(output, /\/ro\/file: Read-only file system/);
    assert.match(output, /\/file: Read-only file system/);
    assert.equal(readFileSync(join(folder, "data", "file"), "utf8"), "x\n");
  });

  it("follows a symbolic link in a target no further than the folder that it is to stay in", async () => {
    for (const name of ["rootfs", "rootfs/engine", "data", "engine"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "data", "file"), "");
    symlinkSync("/../../engine", join(folder, "rootfs", "escape"));
    const root = [
      bind(join(folder, "engine"), "/engine"),
      bind(join(folder, "rootfs"), "/rootfs"),
      bind(join(folder, "data"), "/escape/here", [], "/rootfs"),
    ];
    const { output } = await shell("cd /; echo engine/* rootfs/engine/here/*", { root });
    assert.equal(output, "engine/* rootfs/engine/here/file\n");
  });

  it("says which mount cannot be made, and starts nothing", async () => {
    await rejects(
      shell("true", { root: [bind("/nonesuch", "/a")] }),
      Code.FAILED_PRECONDITION,
      /mount \/a: .*nonesuch/,
    );
    await rejects(shell("true", { root: [bind("/", "/../a")] }), Code.INVALID_ARGUMENT, /without "\.\."/);
    const broken = [{ type: "nonesuchfs", source: "", target: "/a", options: [], within: "" }];
    await rejects(shell("true", { root: broken }), Code.FAILED_PRECONDITION, /mount \/a: /);
    assert.deepEqual((await monitor.list({})).processes, []);
  });

  it("makes a folder anew where another has been mounted over it", async () => {
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    for (const path of [a, b]) mkdirSync(path);
    writeFileSync(join(b, "file"), "from b\n");
    const root = [bind(a, "/data/sub"), bind(a, "/data"), bind(b, "/data/sub")];
    assert.equal((await shell("read -r text </data/sub/file; echo $text", { root })).output, "from b\n");
  });

  it("waits to be continued, once, if it is to be held", async () => {
    const out = join(folder, "out");
    const request = { key: "held", argv: [busybox, "echo", "here"], stdio: { stdout: out }, hold: true };
    const { pid } = await monitor.spawn(api.SpawnRequest.create(request));
    assert.ok(existsSync(`/proc/${pid}`));
    assert.equal(readFileSync(out, "utf8"), "");
    // What the monitor knows of others is not in it (snapshot.c: the second bundle's address).
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
    const [theirs, its] = [parent, pid].map((of) => /^200000000000-/m.test(readFileSync(`/proc/${of}/maps`, "utf8")));
    assert.deepEqual({ theirs, its }, { theirs: true, its: false });
    await monitor.continue({ key: "held" });
    assert.equal((await monitor.wait({ key: "held" })).exitStatus, 0);
    assert.equal(readFileSync(out, "utf8"), "here\n");
    await rejects(monitor.continue({ key: "held" }), Code.FAILED_PRECONDITION, /not waiting to start/);
  });

  it("can be killed while it is held, and then says so", async () => {
    await monitor.spawn(api.SpawnRequest.create({ key: "held", argv: [busybox, "true"], hold: true }));
    await monitor.signal({ key: "held", signal: SIGKILL });
    assert.equal((await monitor.wait({ key: "held" })).exitStatus, 137);
    await rejects(monitor.continue({ key: "held" }), Code.FAILED_PRECONDITION, /it has ended/);
  });

  /** Starts one whose root cannot be made, and waits for its end; answers with what tells of that. */
  const holdUnready = async () => {
    const root = [{ type: "nonesuchfs", source: "", target: "/a", options: [], within: "" }];
    const request = api.SpawnRequest.create({ key: "held", argv: [busybox, "true"], root, hold: true });
    const { pid } = await monitor.spawn(request);
    const ended = monitor.wait({ key: "held" });
    await waitUntil(() => !existsSync(`/proc/${pid}`), { what: "the process to end", timeoutMs: 5_000 });
    return { ended };
  };

  it("tells why it could not get ready whoever lets it proceed, and only then that it has ended", async () => {
    const { ended } = await holdUnready();
    assert.equal(await Promise.race([ended, monitor.list({}).then(() => "waiting")]), "waiting");
    await rejects(monitor.continue({ key: "held" }), Code.FAILED_PRECONDITION, /mount \/a: /);
    assert.equal((await ended).exitStatus, 127);
  });

  it("ends the wait for what could not get ready and is not wanted any more", async () => {
    const { ended } = await holdUnready();
    await rejects(monitor.signal({ key: "held", signal: SIGKILL }), Code.NOT_FOUND, /already finished/);
    assert.equal((await ended).exitStatus, 127);
  });

  it("makes a terminal for a process that wants one", async () => {
    const stdout = join(folder, "tty-out");
    execFileSync("mkfifo", [stdout]);
    const reader = openSync(stdout, constants.O_RDONLY | constants.O_NONBLOCK);
    const script = "test -t 0 && test -t 1 && echo terminal >/dev/tty; read -r line </dev/tty";
    const stdio = { stdout, terminal: true };
    await monitor.spawn(api.SpawnRequest.create({ key: "tty", argv: [busybox, "sh", "-c", script], stdio }));
    await monitor.resize({ key: "tty", width: 80, height: 25 });
    let shown = "";
    const somethingShown = () => {
      shown += readNow(reader);
      return shown.includes("\n");
    };
    await waitUntil(somethingShown, { what: "the terminal's output", timeoutMs: 5_000 });
    closeSync(reader);
    assert.equal(shown, "terminal\r\n");
  });

  it("keeps a process from the system calls that a filter forbids", async function () {
    if (process.arch !== "x64") this.skip();
    const credentials = { uid: 0, gid: 0, additionalGids: [], capabilities: [], noNewPrivileges: true };
    // busybox prints what it got, which is nothing.
    assert.equal((await shell("uname -s", { credentials: { ...credentials, seccomp: NO_UNAME } })).output, "\n");
    assert.equal((await shell("uname -s", { credentials })).output, "Linux\n");
  });
});
