import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConformanceCase } from "../conformance-case.ts";
import { digestOfStream, streamOf } from "../known-stream.ts";
import type { Stdio } from "../stdio.ts";
import type { Trial } from "../trial.ts";

const MIB = 1024 * 1024;
/** Text whose every byte is known: a missing, doubled or moved piece changes the digest. */
const numbers = (count: number) => ["sh", "-c", `seq ${count}`];

function expectedDigest(count: number): { bytes: number; digest: string } {
  const hash = createHash("sha256");
  let bytes = 0;
  for (let first = 1; first <= count; first += 10_000) {
    const lines = Array.from({ length: Math.min(10_000, count - first + 1) }, (_, index) => `${first + index}\n`).join(
      "",
    );
    bytes += lines.length;
    hash.update(lines);
  }
  return { bytes, digest: hash.digest("hex") };
}

async function noteOutput(trial: Trial, { stdout }: Stdio, expected: { bytes: number; digest: string }): Promise<void> {
  trial.note("output ends", await stdout.end(20_000));
  trial.note("bytes", stdout.bytes === expected.bytes ? "all" : `${stdout.bytes} of ${expected.bytes}`);
  trial.note("digest", stdout.digest() === expected.digest ? "right" : "wrong");
}

function closeStdin(trial: Trial, step = "close stdin", execId = "") {
  return trial.call(step, trial.tasks.closeIO({ containerId: trial.id, execId, stdin: true }));
}

function resize(trial: Trial, width: number, height: number, execId = "", step = `resize ${width} x ${height}`) {
  return trial.call(step, trial.tasks.resizePty({ containerId: trial.id, execId, width, height }));
}

export const stdioCases: readonly ConformanceCase[] = [
  {
    name: "stdio: input to its end, output and errors apart",
    async run(trial) {
      const stdio = await trial.create({ stdio: { stdin: true }, args: ["sh", "-c", "cat; echo err >&2"] });
      const ended = trial.waitInBackground();
      await trial.start();
      stdio?.stdin?.write("from outside\n");
      await stdio?.stdout.saw("from outside");
      stdio?.stdin?.end();
      await closeStdin(trial);
      await ended("wait");
      await Promise.all([stdio?.stdout.end(5000), stdio?.stderr?.end(5000)]);
      trial.note("streams", [stdio?.stdout.text, stdio?.stderr?.text]);
    },
  },
  {
    name: "stdio: input stays open until CloseIO, which may come twice",
    async run(trial) {
      const stdio = await trial.create({ stdio: { stdin: true }, args: ["cat"] });
      const ended = trial.waitInBackground();
      await trial.start();
      stdio?.stdin?.write("one\n");
      await stdio?.stdout.saw("one");
      stdio?.stdin?.end();
      await sleep(200);
      await trial.state("", "state after the writer has gone");
      await closeStdin(trial);
      await closeStdin(trial, "close stdin again");
      await ended("wait");
      await closeStdin(trial, "close stdin after the exit");
    },
  },
  {
    name: "stdio: CloseIO of a container without input",
    async run(trial) {
      await trial.run();
      await closeStdin(trial);
      await trial.call("close nothing", trial.tasks.closeIO({ containerId: trial.id }));
    },
  },
  {
    name: "stdio: an exec's input to its end",
    async run(trial) {
      await trial.run();
      const stdio = await trial.addExec("e1", { args: ["wc", "-c"], stdio: { stdin: true } });
      await closeStdin(trial, "close stdin before the start", "e1");
      await trial.start("e1");
      await trial.state("e1");
      stdio?.stdin?.write("12345");
      stdio?.stdin?.end();
      await sleep(100);
      await closeStdin(trial, "close stdin", "e1");
      await trial.wait("e1");
      await stdio?.stdout.end(5000);
      trial.note("output", stdio?.stdout.text.trim());
    },
  },
  {
    name: "stdio: 64 MiB of output, byte for byte",
    async run(trial) {
      const bytes = 64 * MIB;
      const expected = { bytes, digest: digestOfStream("sha256", bytes) };
      await noteOutput(trial, await trial.runToEnd({ args: ["sh", "-c", streamOf(bytes)] }), expected);
    },
  },
  {
    name: "stdio: a reader that stalls and comes back",
    async run(trial) {
      const stdio = await trial.create({ stdio: true, args: numbers(300_000) });
      const ended = trial.waitInBackground();
      stdio?.stdout.pause();
      await trial.start();
      await sleep(1500);
      await trial.state("", "state while the reader stalls");
      stdio?.stdout.resume();
      await ended("wait");
      if (stdio) await noteOutput(trial, stdio, expectedDigest(300_000));
    },
  },
  {
    name: "stdio: output right before the exit, of a container and of execs",
    async run(trial) {
      for (let round = 0; round < 5; round++) {
        const execId = `e${round}`;
        if (round === 0) await trial.run();
        const stdio = await trial.exec(execId, ["sh", "-c", "head -c 30000 /dev/zero; echo end"]);
        await trial.wait(execId);
        trial.note("output ends", await stdio.stdout.end(5000));
        trial.note("bytes", stdio.stdout.bytes);
        await trial.delete(execId);
      }
    },
  },
  {
    name: "stdio: all output is there soon after the exit event",
    async run(trial) {
      const stdio = await trial.create({ stdio: true, args: ["sh", "-c", "head -c 60000 /dev/zero; echo end"] });
      await trial.start();
      await trial.stage.events.saw(trial.id, "/tasks/exit", 10_000);
      trial.note("output ends", await stdio?.stdout.end(300));
      trial.note("bytes", stdio?.stdout.bytes);
    },
  },
  {
    name: "stdio: a reader that goes away",
    async run(trial) {
      const script = "echo ready; sleep 0.5; seq 100000; echo done; exit 3";
      const stdio = await trial.create({ stdio: true, args: ["sh", "-c", script] });
      const ended = trial.waitInBackground();
      await trial.start();
      await stdio?.stdout.saw("ready");
      stdio?.stdout.kill();
      const exits = await trial.stage.events.saw(trial.id, "/tasks/exit", 3000);
      trial.note("ends without a reader", exits);
      if (!exits) trial.note("a new reader gets the rest", await stdio?.readAgain().end(5000));
      await ended("wait");
    },
  },
  {
    name: "stdio: a reader that goes away and another that comes",
    async run(trial) {
      const script = "echo first; read x; echo second; read x; exit 3";
      const stdio = await trial.create({ stdio: { stdin: true }, args: ["sh", "-c", script] });
      const ended = trial.waitInBackground();
      await trial.start();
      await stdio?.stdout.saw("first");
      stdio?.stdout.kill();
      await sleep(100);
      const again = stdio?.readAgain();
      await sleep(100);
      stdio?.stdin?.write("go\n");
      await again?.saw("second");
      stdio?.stdin?.write("go\n");
      await ended("wait");
      trial.note("output of the second reader", again?.text);
      again?.kill();
    },
  },
  {
    name: "terminal: a size, a resize, its end",
    async run(trial) {
      const script = 'tty; stty size; echo ready; trap "stty size; exit 4" WINCH; while :; do sleep 0.1; done';
      const stdio = await trial.create({
        stdio: { stdin: true, terminal: true },
        terminal: true,
        args: ["sh", "-c", script],
      });
      await resize(trial, 80, 24);
      const ended = trial.waitInBackground();
      await trial.start();
      await stdio?.stdout.saw("ready");
      await trial.state();
      await resize(trial, 133, 43);
      await ended("wait");
      await stdio?.stdout.end(5000);
      trial.note("output", stdio?.stdout.text);
      await resize(trial, 80, 24, "", "resize after the exit");
    },
  },
  {
    name: "terminal: of an exec",
    async run(trial) {
      await trial.run();
      const stdio = await trial.addExec("e1", { args: ["sh"], stdio: { stdin: true, terminal: true } });
      await resize(trial, 90, 30, "e1", "resize before the start");
      await trial.start("e1");
      await resize(trial, 100, 40, "e1");
      stdio?.stdin?.write("stty size; echo do''ne; exit 6\n");
      await stdio?.stdout.saw("done");
      await trial.wait("e1");
      trial.note("size", stdio?.stdout.text.includes("40 100"));
      await resize(trial, 100, 40, "e1", "resize after the exit");
    },
  },
  {
    name: "terminal: input closed by CloseIO",
    async run(trial) {
      const stdio = await trial.create({ stdio: { stdin: true, terminal: true }, terminal: true, args: ["sh"] });
      await trial.start();
      stdio?.stdin?.write("echo re''ady\n");
      await stdio?.stdout.saw("ready");
      await closeStdin(trial);
      await sleep(300);
      await trial.state();
    },
  },
  {
    name: "terminal: a resize without one, and one that is too large",
    async run(trial) {
      await trial.run();
      await resize(trial, 80, 24);
      await trial.exec("e1", ["sleep", "1000"]);
      await resize(trial, 80, 24, "e1", "resize an exec");
      await resize(trial, 100_000, 100_000);
    },
  },
];
