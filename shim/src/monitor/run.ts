import * as sys from "sys";
import { type CancelSignal, Code, StatusError } from "ttrpc-ts";
import { readText, removeIfThere } from "../platform/files.ts";
import { startTimer, stopTimer } from "../platform/loop.ts";
import { captureOutput } from "./captured-output.ts";
import { requireProgram } from "./command-path.ts";
import { ownCgroupProcs } from "./own-cgroup.ts";
import { ownerOfKey, type ProcessTable } from "./process-table.ts";
import { RUNC_HAS_READ_ONLY_VIEW, readOnlyProgram } from "./read-only-program.ts";
import { openShown, openStdio, type ProcessStdio, type StdioPaths, terminalStdio } from "./stdio.ts";
import { endStrayInits } from "./stray-init.ts";
import { openTerminal } from "./terminal.ts";

const SIGKILL = 9;

/** kuasar.monitor.v1.RunRequest. */
export interface Command {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly stdio?: (StdioPaths & { readonly terminal: boolean; readonly consoleSocket: string }) | null | undefined;
  readonly key: string;
  readonly pidFile: string;
  readonly timeoutMs: number;
  readonly owner: string;
}

export interface CommandResult {
  readonly exitStatus: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** Of the process left behind, 0 for none. */
  readonly pid: number;
}

const NOTHING = new Uint8Array(0);

/** Runs a command to its end, and takes over the process that it leaves behind. */
export async function runCommand(table: ProcessTable, command: Command, signal: CancelSignal): Promise<CommandResult> {
  if (Boolean(command.key) !== Boolean(command.pidFile)) {
    throw new StatusError(Code.INVALID_ARGUMENT, "key and pid_file: expected both or neither");
  }
  const path = requireProgram(command.argv, command.env);
  return table.starting(command.key, () =>
    command.stdio ? runWithStdio(table, command, path, signal) : runCaptured(table, command, path, signal),
  );
}

async function runCaptured(
  table: ProcessTable,
  command: Command,
  path: string,
  signal: CancelSignal,
): Promise<CommandResult> {
  const stdout = captureOutput();
  const stderr = captureOutput();
  const stdin = sys.open("/dev/null", sys.O_RDONLY, 0);
  const ends: [number, number, number] = [stdin, stdout.input, stderr.input];
  try {
    const ended = start(table, command, path, ends, signal);
    for (const fd of ends.splice(0)) sys.close(fd);
    const exitStatus = await ended;
    return { exitStatus, stdout: stdout.take(), stderr: stderr.take(), pid: 0 };
  } finally {
    for (const fd of ends) sys.close(fd);
    stdout.close();
    stderr.close();
  }
}

async function runWithStdio(
  table: ProcessTable,
  command: Command,
  path: string,
  signal: CancelSignal,
): Promise<CommandResult> {
  const stdio = await open(command, table);
  try {
    // One of an earlier try would be taken for this one's.
    if (command.pidFile) removeIfThere(command.pidFile);
    const exitStatus = await start(table, command, path, stdio.child, signal);
    stdio.closeChildEnds();
    if (exitStatus !== 0 || !command.key) {
      stdio.close();
      return { exitStatus, stdout: NOTHING, stderr: NOTHING, pid: 0 };
    }
    const pid = readPidFile(command.pidFile);
    stdio.terminal?.attach();
    table.add(command.key, pid, stdio);
    return { exitStatus, stdout: NOTHING, stderr: NOTHING, pid };
  } catch (error) {
    stdio.close();
    throw error;
  }
}

async function open({ stdio, key }: Command, { namespace }: ProcessTable): Promise<ProcessStdio> {
  const owner = { ...ownerOfKey(key), namespace };
  if (!stdio?.terminal) return openStdio(stdio ?? {}, owner);
  const shown = await openShown(stdio.stdout ?? "", owner);
  return terminalStdio(openTerminal(stdio.consoleSocket, stdio.stdin ?? "", shown));
}

function readPidFile(path: string): number {
  const text = readText(path).trim();
  if (!/^[1-9][0-9]{0,9}$/.test(text)) {
    throw new StatusError(Code.INTERNAL, `pid_file: expected a pid in ${path}, found ${text.slice(0, 40)}`);
  }
  return Number(text);
}

/** Starts the command and answers with its exit status; kills it at its deadline, and when nobody waits for it any more. */
async function start(
  table: ProcessTable,
  command: Command,
  path: string,
  stdio: readonly number[],
  signal: CancelSignal,
): Promise<number> {
  // While its stdio was opened.
  if (signal.aborted) throw new StatusError(Code.CANCELLED, `${command.argv.join(" ")}: its caller has gone`);
  const program = readOnlyProgram(path);
  // Only a runtime that leaves a process behind moves one to its cgroup.
  if (command.key) sys.hastenCgroupMoves(ownCgroupProcs());
  const variable = table.running.begin();
  let child: number;
  try {
    child = startChild(command, path, program, stdio, variable);
  } catch (error) {
    table.running.end(variable);
    throw error;
  }
  const ended = table.waitCommand(child);
  let killed: Code | undefined;
  const kill = (why: Code) => {
    killed = why;
    // The command and whatever it started in its process group, unless all of them have just ended.
    try {
      sys.kill(-child, SIGKILL);
    } catch (error) {
      if ((error as sys.SysError).code !== "ESRCH") throw error;
    }
  };
  const timer = command.timeoutMs ? startTimer(() => kill(Code.DEADLINE_EXCEEDED), command.timeoutMs) : undefined;
  const onAbort = () => kill(Code.CANCELLED);
  const forget = table.running.add(command.owner, onAbort);
  signal.addEventListener("abort", onAbort);
  try {
    const status = await ended;
    table.running.end(variable);
    if (status !== 0) await endStrayInits(table);
    if (killed !== undefined)
      throw new StatusError(killed, `${command.argv.join(" ")}: killed, ${reason(killed, command)}`);
    return status;
  } finally {
    forget();
    if (timer !== undefined) stopTimer(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function startChild(
  command: Command,
  path: string,
  program: number | string,
  stdio: readonly number[],
  variable: string,
): number {
  const fd = typeof program === "number" ? program : -1;
  const env = [...command.env, RUNC_HAS_READ_ONLY_VIEW, variable];
  try {
    return sys.startCommand(fd, path, command.argv, env, command.cwd, stdio);
  } catch (error) {
    throw new StatusError(Code.FAILED_PRECONDITION, `start ${path}: ${(error as Error).message}`);
  }
}

function reason(code: Code, command: Command): string {
  return code === Code.DEADLINE_EXCEEDED
    ? `it took longer than ${command.timeoutMs} ms`
    : "nobody waits for it any more";
}
