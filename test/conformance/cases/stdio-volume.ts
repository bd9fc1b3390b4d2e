import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConformanceCase } from "../conformance-case.ts";
import { digestOfStream, streamOf } from "../known-stream.ts";
import type { Stdio } from "../stdio.ts";
import type { Trial } from "../trial.ts";

const GIB = 1024 ** 3;
const MINUTE_MS = 60_000;

async function noteOutput(trial: Trial, { stdout }: Stdio, bytes: number): Promise<void> {
  trial.note("output ends", await stdout.end(120_000));
  trial.note("bytes", stdout.bytes === bytes ? "all" : `${stdout.bytes} of ${bytes}`);
  trial.note("digest", stdout.digest() === digestOfStream("sha256", bytes) ? "right" : "wrong");
}

/** Until the process has ended, however long that takes: a call has its deadline. */
async function untilExited(trial: Trial, execId = ""): Promise<void> {
  const id = execId || trial.id;
  const isExit = ({ topic, fields }: { topic: string; fields: Readonly<Record<string, unknown>> }) =>
    topic === "/tasks/exit" && fields.id === id;
  trial.note("exits", await trial.stage.events.heard(trial.id, isExit, 120_000));
  await trial.wait(execId);
}

/** Sends a stream into a FIFO that a process reads, then ends its input. */
async function feed(trial: Trial, stdio: Stdio, bytes: number, execId = ""): Promise<void> {
  const writer = spawn("sh", ["-c", `${streamOf(bytes)} > "$1"`, "sh", stdio.paths.stdin], { stdio: "ignore" });
  await once(writer, "exit");
  stdio.stdin?.end();
  await trial.call("close stdin", trial.tasks.closeIO({ containerId: trial.id, execId, stdin: true }));
}

/** More than fits any buffer on the way, and longer than any time-out there may be. */
export const stdioVolumeCases: readonly ConformanceCase[] = [
  {
    name: "stdio: 1 GiB of output, byte for byte",
    slow: true,
    timeoutMs: 200_000,
    async run(trial) {
      const stdio = await trial.create({ stdio: true, args: ["sh", "-c", streamOf(GIB)] });
      await trial.start();
      await untilExited(trial);
      if (stdio) await noteOutput(trial, stdio, GIB);
    },
  },
  {
    name: "stdio: 1 GiB of an exec's output, byte for byte",
    slow: true,
    timeoutMs: 200_000,
    async run(trial) {
      await trial.run();
      const stdio = await trial.exec("e1", ["sh", "-c", streamOf(GIB)]);
      await untilExited(trial, "e1");
      await trial.delete("e1");
      await noteOutput(trial, stdio, GIB);
    },
  },
  {
    name: "stdio: 1 GiB of input, byte for byte",
    slow: true,
    timeoutMs: 200_000,
    async run(trial) {
      const stdio = await trial.create({ stdio: { stdin: true }, args: ["md5sum"] });
      await trial.start();
      if (!stdio) return;
      await feed(trial, stdio, GIB);
      await untilExited(trial);
      await stdio.stdout.end(5000);
      trial.note("digest", stdio.stdout.text.startsWith(digestOfStream("md5", GIB)) ? "right" : stdio.stdout.text);
    },
  },
  {
    name: "stdio: 256 MiB of an exec's input, byte for byte",
    slow: true,
    timeoutMs: 200_000,
    async run(trial) {
      await trial.run();
      const stdio = await trial.exec("e1", ["md5sum"], { stdio: { stdin: true } });
      await feed(trial, stdio, GIB / 4, "e1");
      await untilExited(trial, "e1");
      await stdio.stdout.end(5000);
      trial.note("digest", stdio.stdout.text.startsWith(digestOfStream("md5", GIB / 4)) ? "right" : stdio.stdout.text);
    },
  },
  {
    name: "stdio: readers of a container, an exec and a terminal that stall for a minute and come back",
    slow: true,
    timeoutMs: 200_000,
    eventsInAnyOrder: true,
    async run(trial) {
      const bytes = 20_000_000;
      const script = ["sh", "-c", `${streamOf(bytes)}; sleep 1000`];
      const own = await trial.create({ stdio: true, args: script });
      await trial.start();
      const exec = await trial.exec("e1", ["sh", "-c", streamOf(bytes)]);
      const shown = await trial.exec("e2", ["sh", "-c", "seq 200000; echo do''ne"], {
        stdio: { stdin: true, terminal: true },
      });
      for (const stdio of [own, exec, shown]) stdio?.stdout.pause();
      await sleep(MINUTE_MS);
      for (const execId of ["", "e1", "e2"]) await trial.state(execId);
      for (const stdio of [own, exec, shown]) stdio?.stdout.resume();
      await untilExited(trial, "e1");
      await untilExited(trial, "e2");
      await trial.delete("e1");
      await noteOutput(trial, exec, bytes);
      trial.note("end of the terminal's", await shown.stdout.end(5000));
      trial.note("shown", shown.stdout.bytes);
      await trial.kill(9);
      await trial.wait();
      await trial.delete();
      if (own) await noteOutput(trial, own, bytes);
    },
  },
];
