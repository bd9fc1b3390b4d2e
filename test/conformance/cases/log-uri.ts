import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@kuasar/install/wait-until";
import type { ConformanceCase } from "../conformance-case.ts";
import { withMatched } from "../observation.ts";
import type { Trial } from "../trial.ts";

/** A log driver as containerd's runtime/v2/logging has it: output on 3, errors on 4, ready when 5 is closed. */
const driver = `#!/bin/sh
result=$2
env | grep '^CONTAINER_' | sort > "$result.env"
echo "$@" | sed "s#$result#RESULT#" > "$result.args"
exec 5>&-
cat <&4 > "$result.err" &
cat <&3 > "$result.out"
wait
echo over > "$result.end"
`;

/** Ends after what it wrote has been read: the runc shim may lose what is left to copy at the exit. */
const script = "echo out; echo err >&2; sleep 0.5; exit 3";

async function runWithLog(trial: Trial, uri: string, command: string): Promise<void> {
  const { lab } = trial.stage;
  const args = lab.ctrRunArgs(["--rm", "--log-uri", uri], trial.id, "sh", "-c", command);
  const { exitCode, stderr } = await lab.containerd.ctr(args, { reject: false });
  const wording = trial.plain(stderr);
  trial.observations.push({ step: "ctr run", result: withMatched(`exit ${exitCode}`, wording), wording });
}

/** Lines of two streams in one file may come in any order. */
function sortedLines(path: string): string[] | string {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean).sort() : "no file";
}

function scratch(trial: Trial): string {
  mkdirSync(trial.scratch, { recursive: true });
  return trial.scratch;
}

/** The URI of a driver that leaves what it gets in files that begin with `result`. */
function driverUri(trial: Trial): { uri: string; result: string } {
  const result = join(scratch(trial), "result");
  const program = join(scratch(trial), "driver");
  writeFileSync(program, driver);
  chmodSync(program, 0o755);
  return { uri: `binary://${program}?result=${result}`, result };
}

async function driverEnds(result: string): Promise<void> {
  const ended = () => existsSync(`${result}.end`);
  await waitUntil(ended, { what: "the driver's end", timeoutMs: 5000 }).catch(() => undefined);
}

export const logUriCases: readonly ConformanceCase[] = [
  {
    name: "log URI: a file",
    async run(trial) {
      const file = join(scratch(trial), "deep", "log");
      await runWithLog(trial, `file://${file}`, script);
      trial.note("log", sortedLines(file));
      trial.note("mode", existsSync(file) ? (statSync(file).mode & 0o777).toString(8) : "no file");
    },
  },
  {
    name: "log URI: a file that is there already",
    async run(trial) {
      const file = join(scratch(trial), "log");
      writeFileSync(file, "before\n");
      await runWithLog(trial, `file://${file}`, script);
      trial.note("log", sortedLines(file));
    },
  },
  {
    name: "log URI: a file in a place where none can be",
    async run(trial) {
      const file = join(scratch(trial), "plain");
      writeFileSync(file, "");
      await runWithLog(trial, `file://${file}/log`, script);
    },
  },
  {
    name: "log URI: a program, with arguments",
    async run(trial) {
      const { uri, result } = driverUri(trial);
      await runWithLog(trial, uri, script);
      await driverEnds(result);
      for (const part of ["out", "err", "env", "args", "end"]) trial.note(part, sortedLines(`${result}.${part}`));
    },
  },
  {
    name: "log URI: a program that gets 20 MB",
    async run(trial) {
      const { uri, result } = driverUri(trial);
      await runWithLog(trial, uri, "head -c 20000000 /dev/zero");
      await driverEnds(result);
      trial.note("bytes", existsSync(`${result}.out`) ? statSync(`${result}.out`).size : 0);
    },
  },
  {
    name: "log URI: a file whose name has to be escaped",
    async run(trial) {
      const file = join(scratch(trial), "100% log");
      await runWithLog(trial, `file://${encodeURI(file)}`, script);
      trial.note("log", sortedLines(file));
    },
  },
  {
    name: "log URI: a program, of a terminal",
    async run(trial) {
      const { uri, result } = driverUri(trial);
      const args = ["sh", "-c", "tty; seq 3; sleep 0.5; exit 3"];
      await trial.create({ args, terminal: true, terminalWithoutStdio: true, paths: { stdout: uri } });
      const ended = trial.waitInBackground();
      await trial.start();
      await ended("wait");
      await trial.delete();
      await driverEnds(result);
      for (const part of ["out", "err", "env", "args", "end"]) trial.note(part, sortedLines(`${result}.${part}`));
    },
  },
  {
    name: "log URI: a program, of an exec",
    async run(trial) {
      await trial.run();
      const { uri, result } = driverUri(trial);
      await trial.addExec("e1", { args: ["sh", "-c", script], paths: { stdout: uri, stderr: uri } });
      await trial.start("e1");
      await trial.wait("e1");
      await trial.delete("e1");
      await waitUntil(() => existsSync(`${result}.out`), { what: "the driver", timeoutMs: 5000 }).catch(
        () => undefined,
      );
      for (const part of ["out", "err", "env", "args"]) trial.note(part, sortedLines(`${result}.${part}`));
    },
  },
  {
    name: "log URI: a program that ends while it is written to",
    async run(trial) {
      const program = join(scratch(trial), "driver");
      writeFileSync(program, "#!/bin/sh\nexec 5>&-\nread line <&3\n");
      chmodSync(program, 0o755);
      await runWithLog(trial, `binary://${program}`, "echo first; sleep 0.5; echo second; echo third >&2; exit 3");
    },
  },
  {
    name: "log URI: a program that is not there",
    async run(trial) {
      await runWithLog(trial, "binary:///no/such/driver", script);
    },
  },
  {
    name: "log URI: a program that ends before it is ready",
    async run(trial) {
      await runWithLog(trial, "binary:///bin/false", script);
    },
  },
];
