import type { ReadStream } from "node:tty";
import type { kuasar } from "@kuasar/proto/containerd";
import { SandboxesService } from "@kuasar/proto/definitions";
import { createStub, type StreamingCall } from "ttrpc-ts";
import { findPod } from "./find-pod.ts";
import { findStaticShell } from "./static-shell.ts";

export interface ExecOptions {
  /** Of the sandboxer. */
  readonly socket?: string;
  /** A static program, in place of busybox. */
  readonly shell?: string;
}

type Session = StreamingCall<kuasar.sandboxes.v1.IExecRequest, kuasar.sandboxes.v1.ExecResponse>;

/**
 * Runs a command in the virtual machine of a pod, or a shell, with this process's stdio: a terminal where that is one.
 * Answers with its exit status. The command ends when this process does.
 */
export async function exec(wanted: string, command: readonly string[], options: ExecOptions): Promise<number> {
  const shell = findStaticShell(options.shell);
  const pod = await findPod(wanted, options.socket);
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  try {
    const session: Session = createStub(SandboxesService, pod.client).exec();
    await session.send({
      start: {
        namespace: pod.namespace,
        sandboxId: pod.id,
        program: shell.content,
        programName: shell.name,
        args: shell.args(command),
        env: [`TERM=${process.env.TERM ?? "dumb"}`, "PS1=guest:\\w\\$ "],
        terminal,
        ...(terminal && { size: terminalSize() }),
      },
    });
    const leave = takeInput(session, terminal);
    try {
      return await giveOutput(session);
    } finally {
      leave();
    }
  } finally {
    pod.client.close();
  }
}

const terminalSize = () => ({ columns: process.stdout.columns, rows: process.stdout.rows });

/** Sends what comes in until it is told to stop. */
function takeInput(session: Session, terminal: boolean): () => void {
  const stdin = process.stdin as ReadStream;
  if (terminal) stdin.setRawMode(true);
  // What is sent to a session that has ended is of no use to anybody; how that ended the reader of its output learns.
  const send = (request: kuasar.sandboxes.v1.IExecRequest) => session.send(request).catch(() => {});
  const onData = async (data: Buffer) => {
    stdin.pause();
    await send({ stdin: data });
    stdin.resume();
  };
  const onEnd = () => void send({ stdinEnd: true });
  const onResize = () => void send({ size: terminalSize() });
  stdin.on("data", onData).on("end", onEnd);
  process.stdout.on("resize", onResize);
  return () => {
    stdin.off("data", onData).off("end", onEnd).pause();
    process.stdout.off("resize", onResize);
    if (terminal) stdin.setRawMode(false);
    // A pipe or a terminal that stays open would keep this process.
    stdin.unref?.();
  };
}

async function giveOutput(session: Session): Promise<number> {
  for await (const { stdout, stderr, exited, exitStatus } of session) {
    if (exited) return exitStatus;
    await Promise.all([written(process.stdout, stdout), written(process.stderr, stderr)]);
  }
  throw new Error("the sandboxer has ended the session before the command ended");
}

function written(stream: NodeJS.WriteStream, data: Uint8Array): Promise<void> {
  if (data.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => stream.write(data, (error) => (error ? reject(error) : resolve())));
}
