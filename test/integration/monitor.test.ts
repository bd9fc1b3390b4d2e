import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { waitUntil } from "@kuasar/install/wait-until";
import { kuasar } from "@kuasar/proto/containerd";
import type { MonitorService } from "@kuasar/proto/definitions";
import { Code, type StatusError, type Stub } from "ttrpc-ts";
import { type LiveMonitor, startMonitor } from "./live-monitor.ts";

const api = kuasar.monitor.v1;
const env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
const SIGKILL = 9;
const ALL_NAMESPACES = ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type, path: "" }));

describe("kuasar-monitor, the parent of a pod's processes", function () {
  this.timeout(20_000);

  let live: LiveMonitor;
  let folder: string;
  let monitor: Stub<typeof MonitorService>;

  beforeEach(async () => {
    live = await startMonitor();
    ({ folder, monitor } = live);
  });

  afterEach(() => live.end());

  const run = (fields: kuasar.monitor.v1.IRunRequest) => monitor.run(api.RunRequest.create({ env, ...fields }));
  const spawn = (fields: kuasar.monitor.v1.ISpawnRequest) => monitor.spawn(api.SpawnRequest.create({ env, ...fields }));
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const parentOf = (pid: string) => {
    const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return readFileSync(`/proc/${parent}/comm`, "utf8");
  };
  const rejects = (promise: Promise<unknown>, code: Code, message: RegExp) =>
    assert.rejects(promise, (error: StatusError) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });

  it("runs a command and gives its exit status, its output and its errors", async () => {
    const result = await run({ argv: ["sh", "-c", "echo out; echo err >&2; exit 3"] });
    assert.deepEqual([result.exitStatus, text(result.stdout), text(result.stderr)], [3, "out\n", "err\n"]);
  });

  it("runs a command that is a script, as wrappers around runc are", async () => {
    const script = join(folder, "wrapper");
    writeFileSync(script, '#!/bin/sh\necho "$0 $1"\n', { mode: 0o755 });
    const result = await run({ argv: [script, "one"] });
    assert.deepEqual([result.exitStatus, text(result.stdout)], [0, `${script} one\n`]);
  });

  it("keeps 64 KiB of a command's output, however much there is", async () => {
    const result = await run({ argv: ["head", "-c", "10000000", "/dev/zero"] });
    assert.deepEqual([result.exitStatus, result.stdout.length], [0, 65_536]);
  });

  it("keeps the last of what a process writes, however much there is, and makes the process wait", async () => {
    const [log, errors] = [join(folder, "out.log"), join(folder, "errors.log")];
    const script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo line $i; done; echo last >&2";
    await spawn({
      key: "talker",
      argv: ["sh", "-c", script],
      stdio: { stdout: log, stderr: errors, keptBytes: 20_000 },
    });
    assert.equal((await monitor.wait({ key: "talker" })).exitStatus, 0);
    await monitor.release({ key: "talker" });
    assert.equal(readFileSync(errors, "utf8"), "last\n");
    const text = readFileSync(`${log}.1`, "utf8") + readFileSync(log, "utf8");
    assert.ok(text.length >= 20_000 && text.length <= 60_000, `${text.length} bytes are kept`);
    const lines = text.split("\n").slice(1, -1);
    assert.deepEqual(
      lines,
      lines.map((_, i) => `line ${30_000 - lines.length + 1 + i}`),
    );
  });

  it("kills a command at its deadline", async () => {
    const late = run({ argv: ["sleep", "1000"], timeoutMs: 100 });
    await rejects(late, Code.DEADLINE_EXCEEDED, /sleep 1000: killed, it took longer than 100 ms/);
  });

  it("kills the commands of one owner when they are cancelled, with all that they have started", async () => {
    const pidFile = join(folder, "inner");
    const script = `sleep 1000 & echo $! >${pidFile}; wait`;
    const hanging = run({ argv: ["sh", "-c", script], owner: "c1" });
    const refused = rejects(hanging, Code.CANCELLED, /killed, nobody waits for it any more/);
    const other = run({ argv: ["sh", "-c", "sleep 0.3; echo done"], owner: "c2" });
    const inner = await waitUntil(() => existsSync(pidFile) && Number(readFileSync(pidFile, "utf8")), {
      what: "the command to start",
      timeoutMs: 5_000,
    });
    await monitor.cancel({ owner: "c1" });
    await refused;
    assert.equal(text((await other).stdout), "done\n");
    await waitUntil(() => !existsSync(`/proc/${inner}`), { what: "the command's child to end", timeoutMs: 5_000 });
    await monitor.cancel({ owner: "c1" });
  });

  it("takes over a process that a command leaves behind, even one that has ended by then", async () => {
    const [pidFile, left] = [join(folder, "pid"), join(folder, "left")];
    execFileSync("mkfifo", [left]);
    for (const seconds of ["0", "0.2"]) {
      // The inner shell leaves its child to the monitor. Its own end is the child's sign to go on: a shell that is still
      // there would reap the child, and nobody could tell the status.
      const child = `(read end < ${left}; sleep ${seconds}; exit 7)`;
      const script = `sh -c '${child} & echo -n $! > ${pidFile}; exec 3> ${left}'; sleep 0.1`;
      const { pid } = await run({ argv: ["sh", "-c", script], stdio: {}, key: seconds, pidFile });
      assert.equal(String(pid), readFileSync(pidFile, "utf8"));
      assert.equal((await monitor.wait({ key: seconds })).exitStatus, 7);
    }
  });

  it("ends what a command that failed has left, and not what one has that is still at work on it", async () => {
    const [left, stray, go] = [join(folder, "left"), join(folder, "stray"), join(folder, "go")];
    execFileSync("mkfifo", [go]);
    const leaving = (pidFile: string, then: string) => [
      "sh",
      "-c",
      `sh -c 'sleep 1000 & echo -n $! > ${pidFile}'; ${then}`,
    ];
    const atWork = run({ argv: leaving(left, `echo > ${go}`), stdio: {}, key: "left", pidFile: left });
    const isOrphan = () => existsSync(left) && !parentOf(readFileSync(left, "utf8")).includes("sh");
    await waitUntil(isOrphan, { what: "an orphan", timeoutMs: 5_000 });
    assert.equal((await run({ argv: leaving(stray, "exit 1"), stdio: {} })).exitStatus, 1);
    const strayPid = readFileSync(stray, "utf8");
    await waitUntil(() => !existsSync(`/proc/${strayPid}`), { what: "the stray to end", timeoutMs: 5_000 });
    readFileSync(go);
    const { pid } = await atWork;
    assert.ok(existsSync(`/proc/${pid}`));
    assert.equal((await monitor.list({})).processes[0]?.exited, false);
  });

  it("says 255 of a process that somebody else has seen end, and does not wait for it for ever", async () => {
    const pidFile = join(folder, "pid");
    const script = `(exit 7) & echo -n $! > ${pidFile}; wait`;
    await run({ argv: ["sh", "-c", script], stdio: {}, key: "gone", pidFile });
    assert.equal((await monitor.wait({ key: "gone" })).exitStatus, 255);
  });

  it("gives a pause process namespaces, a host name and nothing of the host's files", async () => {
    const { pid } = await spawn({
      key: "pause",
      argv: ["catatonit", "-P"],
      emptyRoot: true,
      hostname: "pod-1",
      namespaces: ALL_NAMESPACES,
      sysctls: { "net.ipv4.ping_group_range": "0 100" },
      credentials: { uid: 65_535, gid: 65_535, additionalGids: [], capabilities: [], noNewPrivileges: true },
    });
    assert.deepEqual(readdirSync(`/proc/${pid}/root/`), []);
    for (const name of ["pid", "ipc", "uts", "mnt", "net"]) {
      assert.notEqual(readlinkSync(`/proc/${pid}/ns/${name}`), readlinkSync(`/proc/self/ns/${name}`));
    }
    const inside = (...command: string[]) =>
      execFileSync("nsenter", ["-t", String(pid), "-u", "-n", ...command], { encoding: "utf8" }).trim();
    assert.equal(inside("hostname"), "pod-1");
    assert.equal(inside("cat", "/proc/sys/net/ipv4/ping_group_range"), "0\t100");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    assert.match(status, /^Uid:\s65535\s/m);
    assert.match(status, /^CapBnd:\s0{16}$/m);
    assert.match(status, /^NoNewPrivs:\s1$/m);
  });

  it("starts a process in the pid namespace of another", async () => {
    const pause = await spawn({ key: "pause", argv: ["catatonit", "-P"], namespaces: ALL_NAMESPACES });
    const namespaces = [{ type: "pid", path: `/proc/${pause.pid}/ns/pid` }];
    const joined = await spawn({ key: "joined", argv: ["sleep", "1000"], namespaces });
    assert.equal(readlinkSync(`/proc/${joined.pid}/ns/pid`), readlinkSync(`/proc/${pause.pid}/ns/pid`));
    await monitor.signal({ key: "joined", signal: SIGKILL });
    assert.equal((await monitor.wait({ key: "joined" })).exitStatus, 137);
  });

  it("says which step of a start has failed, and starts nothing", async () => {
    const steps: Array<[object, Code, RegExp]> = [
      [{ argv: ["nonesuch"] }, Code.NOT_FOUND, /argv: nonesuch: no such program in PATH/],
      [{ key: "" }, Code.INVALID_ARGUMENT, /^key: expected/],
      [{ namespaces: [{ type: "time machine", path: "" }] }, Code.INVALID_ARGUMENT, /namespaces.type: expected one of/],
      [{ namespaces: [{ type: "network", path: "/nonesuch" }] }, Code.FAILED_PRECONDITION, /join namespace \/nonesuch/],
      [{ sysctls: { "kernel.nonesuch": "1" } }, Code.FAILED_PRECONDITION, /sysctl kernel.nonesuch/],
      [{ cgroupProcs: ["/sys/../etc/passwd"] }, Code.INVALID_ARGUMENT, /cgroup_procs: expected absolute paths/],
      [{ cwd: "/nonesuch" }, Code.FAILED_PRECONDITION, /chdir \/nonesuch/],
    ];
    for (const [fields, code, message] of steps) {
      await rejects(spawn({ key: "x", argv: ["sleep", "1000"], ...fields }), code, message);
    }
    assert.deepEqual((await monitor.list({})).processes, []);
  });

  it("starts a process when its output's client is there to read, and whoever is not by then is not waited for", async () => {
    const fifos = ["stdout", "stderr"].map((name) => join(folder, name));
    execFileSync("mkfifo", fifos);
    const [stdout, stderr] = fifos;
    const order: string[] = [];
    const spawned = spawn({ key: "p", argv: ["sh", "-c", "echo out"], stdio: { stdout, stderr } }).then(() =>
      order.push("spawned"),
    );
    await sleep(50);
    order.push("opened");
    const readers = await Promise.all(fifos.map((path) => open(path, constants.O_RDONLY)));
    await spawned;
    assert.deepEqual(order, ["opened", "spawned"]);
    await monitor.wait({ key: "p" });
    assert.equal((await readers[0]?.read(Buffer.alloc(10)))?.bytesRead, "out\n".length);
    await Promise.all(readers.map((reader) => reader.close()));
    await monitor.release({ key: "p" });
    await spawn({ key: "q", argv: ["sh", "-c", "echo out"], stdio: { stdout } });
    assert.equal((await monitor.wait({ key: "q" })).exitStatus, 0);
  });

  it("signals a process, waits for it and forgets it, each at its time only", async () => {
    await spawn({ key: "a", argv: ["sleep", "1000"] });
    await rejects(spawn({ key: "a", argv: ["true"] }), Code.ALREADY_EXISTS, /the key a exists/);
    await rejects(monitor.release({ key: "a" }), Code.FAILED_PRECONDITION, /has not exited/);
    await monitor.signal({ key: "a", signal: SIGKILL });
    const [first, second] = await Promise.all([monitor.wait({ key: "a" }), monitor.wait({ key: "a" })]);
    assert.deepEqual([first.exitStatus, second.exitStatus], [137, 137]);
    await rejects(monitor.signal({ key: "a", signal: SIGKILL }), Code.NOT_FOUND, /already finished/);
    await monitor.release({ key: "a" });
    await monitor.release({ key: "a" });
    await rejects(monitor.wait({ key: "a" }), Code.NOT_FOUND, /no process with the key a/);
  });

  it("mounts, and undoes what it mounted when one of the mounts fails", async () => {
    const target = join(folder, "mnt");
    mkdirSync(target);
    const tmpfs = { type: "tmpfs", source: "tmpfs", target: "", options: ["size=1m", "nosuid"] };
    const mounted = () => readFileSync("/proc/self/mountinfo", "utf8").includes(` ${target} `);
    await monitor.mount({ mounts: [tmpfs, tmpfs], target });
    assert.ok(mounted());
    await monitor.unmount({ target });
    await monitor.unmount({ target });
    assert.ok(!mounted());
    const broken = monitor.mount({ mounts: [tmpfs, { ...tmpfs, type: "nonesuchfs" }], target });
    await rejects(broken, Code.FAILED_PRECONDITION, /mount nonesuchfs/);
    assert.ok(!mounted());
    await rejects(monitor.mount({ mounts: [tmpfs], target: "/tmp/../etc" }), Code.INVALID_ARGUMENT, /without "\.\."/);
  });

  it("has a log driver read from FIFOs, until it is let go, for a process that is not its own", async () => {
    const [program, out, err] = ["driver", "out", "err"].map((name) => join(folder, name)) as [string, string, string];
    writeFileSync(
      program,
      `#!/bin/sh\necho $CONTAINER_ID >${out}.log\nexec 5>&-\ncat <&3 >>${out}.log\ncat <&4 >>${out}.log\n`,
    );
    chmodSync(program, 0o755);
    const log = { key: "c1/e1", stdout: `binary://${program}`, stderr: "", stdoutFifo: out, stderrFifo: err };
    await monitor.openLog(log);
    await rejects(monitor.openLog(log), Code.ALREADY_EXISTS, /c1\/e1 has its log already/);
    // Who writes may be replaced: the driver sees no end in between.
    for (const [fifo, word] of [
      [out, "one\n"],
      [out, "two\n"],
      [err, "three\n"],
    ] as const) {
      writeFileSync(fifo, word);
    }
    await monitor.release({ key: "c1/e1" });
    const text = () => readFileSync(`${out}.log`, "utf8");
    await waitUntil(() => text().includes("three"), { what: "the driver to read to the end", timeoutMs: 5_000 });
    assert.equal(text(), "e1\none\ntwo\nthree\n");
    assert.deepEqual([existsSync(out), existsSync(err)], [false, false]);
  });

  it("makes a log file with its folders, and nothing where a log URI is none, or its driver not there", async () => {
    const file = join(folder, "deep", "log");
    const open = (key: string, stdout: string, stderr = "") =>
      monitor.openLog({ key, stdout, stderr, stdoutFifo: join(folder, "fifo"), stderrFifo: "" });
    await open("c1", `file://${file}`, `file://${file}`);
    assert.equal(statSync(file).mode & 0o777, 0o644);
    await rejects(open("c2", "nosuch:///x"), Code.INVALID_ARGUMENT, /^stdout: expected an absolute path/);
    await rejects(open("c2", "", "binary:///bin/true"), Code.INVALID_ARGUMENT, /^stderr: a log driver takes both/);
    await rejects(open("c2", `file://${file}/x`), Code.UNKNOWN, /not a directory/i);
    await rejects(open("c2", "binary:///no/such/driver"), Code.UNKNOWN, /failed to start the log driver/);
    assert.equal(existsSync(join(folder, "fifo")), false);
    // Of one that ends before it is ready nobody reads.
    await open("c2", "binary:///bin/false");
    await monitor.release({ key: "c2" });
    await monitor.release({ key: "c1" });
  });
});
