import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { type ChildCode, ChildError, CLONE_PARENT, NAMESPACE_FLAGS } from "../child-terms.ts";
import { OPEN_FILES } from "./environment.ts";
import { forkByCode, forkHeldByCode } from "./forked-child.ts";
import * as sys from "./sys.ts";

/** Any steps, in place of those that a plan has. */
const actions: ChildCode<{ prepare?: () => void; become: () => never }> = {
  prepare: ({ prepare }) => prepare?.(),
  become: ({ become }) => become(),
};

/** The child's output, and its exit status. */
async function outcomeOf(become: () => never, flags = 0): Promise<{ output: string; status: number }> {
  const [output, input] = sys.pipe();
  const pid = await forkByCode(actions, { flags }, { prepare: () => sys.dup2(input, 1), become });
  sys.close(input);
  const text = readFileSync(output, "utf8");
  sys.close(output);
  return { output: text, status: await ended(pid) };
}

async function ended(pid: number): Promise<number> {
  for (;;) {
    const child = sys.waitChild();
    if (child?.[0] === pid) return child[1];
    if (!child) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const shell = (script: string) => sys.exec("/bin/sh", ["sh", "-c", script], ["PATH=/usr/bin:/bin", "WORD=said"]);

describe("a child of a process of Node", () => {
  before(function () {
    if (process.arch !== "x64") this.skip();
  });

  it("becomes a program with its arguments, its environment and its exit status", async () => {
    expect(await outcomeOf(() => shell("echo $WORD; exit 7"))).to.deep.equal({ output: "said\n", status: 7 });
  });

  it("tells 128 and the number of the signal that ended it", async () => {
    expect(await outcomeOf(() => shell("kill -KILL $$"))).to.deep.equal({ output: "", status: 137 });
  });

  it("has no file descriptor that it was not given", async () => {
    const ours = sys.open("/dev/null", sys.O_RDONLY, 0);
    const { output } = await outcomeOf(() => shell(`test -e /proc/$$/fd/${ours} && echo open || echo closed`));
    sys.close(ours);
    expect(output).to.equal("closed\n");
  });

  it("has the limit on open files that the shim was started with, not the one that Node makes of it", async () => {
    process.env[OPEN_FILES] = "123";
    const { output } = await outcomeOf(() => shell("ulimit -Sn"));
    delete process.env[OPEN_FILES];
    expect(output).to.equal("123\n");
  });

  it("waits to become its program, if it is to be held, with nothing open but what it was left", async () => {
    const [output, input] = sys.pipe();
    const ours = sys.open("/dev/null", sys.O_RDONLY, 0);
    const prepare = () => sys.dup2(input, 1);
    const become = () => shell("echo $WORD; exit 3");
    const held = await forkHeldByCode(actions, { keep: [], reportsPid: false }, { prepare, become });
    const open = readdirSync(`/proc/${held.pid}/fd`);
    for (const fd of [input, ours]) sys.close(fd);
    expect(open).to.not.include(String(ours));
    await held.proceed();
    expect(readFileSync(output, "utf8")).to.equal("said\n");
    sys.close(output);
    expect(await ended(held.pid)).to.equal(3);
  });

  it("tells which step failed, and leaves nothing behind", async () => {
    let error: unknown;
    const prepare = () => sys.chdir("/no/such/folder");
    await forkByCode(actions, {}, { prepare, become: () => shell("true") }).catch((reason) => {
      error = reason;
    });
    expect(error).to.be.instanceOf(ChildError);
    expect((error as Error).message).to.equal("chdir /no/such/folder: no such file or directory");
  });

  it("takes its steps in its own namespaces, and not in ours", async function () {
    if (process.getuid?.() !== 0) this.skip();
    const ours = readlinkSync("/proc/self/ns/uts");
    const { uts, pid } = NAMESPACE_FLAGS as { uts: number; pid: number };
    const { output, status } = await outcomeOf(() => {
      sys.setHostname("in-a-pod");
      return shell("cat /proc/sys/kernel/hostname; echo $$");
    }, uts | pid);
    expect({ output, status }).to.deep.equal({ output: "in-a-pod\n1\n", status: 0 });
    expect(readlinkSync("/proc/self/ns/uts")).to.equal(ours);
  });

  it("forks once more where a pid namespace holds for children only, and its pid is the last one's", async function () {
    if (process.getuid?.() !== 0) this.skip();
    const outcome = await outcomeOf(() => {
      sys.unshare(NAMESPACE_FLAGS.pid as number);
      sys.fork(CLONE_PARENT, -1);
      return shell("echo $$; exit 4");
    });
    expect(outcome).to.deep.equal({ output: "1\n", status: 4 });
  });

  it("waits in its new user namespace until its parent has said who it is", async function () {
    if (process.getuid?.() !== 0) this.skip();
    const [output, input] = sys.pipe();
    const gate = sys.pipe();
    const [open, opener] = gate;
    const become = () => {
      expect(sys.read(open, new ArrayBuffer(1), 0, 1)).to.equal(1);
      sys.dup2(input, 1);
      return shell("cat /proc/self/uid_map");
    };
    const pid = await forkByCode(actions, { flags: NAMESPACE_FLAGS.user as number }, { become }, (child) => {
      writeFileSync(`/proc/${child}/uid_map`, "0 1000 10\n");
      sys.write(opener, new ArrayBuffer(1), 0, 1);
    });
    for (const fd of [input, ...gate]) sys.close(fd);
    expect(readFileSync(output, "utf8").trim().split(/ +/)).to.deep.equal(["0", "1000", "10"]);
    sys.close(output);
    expect(await ended(pid)).to.equal(0);
  });

  it("gives up its rights", async function () {
    if (process.getuid?.() !== 0) this.skip();
    const { output } = await outcomeOf(() => {
      sys.limitBounding([]);
      sys.setUser(1234, 2345, [3456]);
      sys.setCapabilities([]);
      return shell("grep -E '^(Uid|Gid|Groups|CapBnd|CapEff)' /proc/self/status");
    });
    expect(
      output
        .replaceAll(/[\t ]+/g, " ")
        .trim()
        .split("\n")
        .map((line) => line.trim()),
    ).to.deep.equal([
      "Uid: 1234 1234 1234 1234",
      "Gid: 2345 2345 2345 2345",
      "Groups: 3456",
      "CapEff: 0000000000000000",
      "CapBnd: 0000000000000000",
    ]);
  });
});
