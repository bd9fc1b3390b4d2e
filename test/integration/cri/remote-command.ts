import { type Channels, openChannels } from "./channels.ts";

/** A command, or a container, whose streams are at the other end of CRI's Exec or Attach. */
export interface RemoteCommand {
  write(text: string): void;
  resize(columns: number, rows: number): void;
  /** Waits until the output has this. */
  expectOutput(pattern: RegExp): Promise<void>;
  /** When it has ended: what it wrote, and its exit code. */
  result(): Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }>;
  /** Hangs up. */
  close(): Promise<void>;
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const RESIZE = 4;

/** metav1.Status, as much of it as says how a command ended. */
interface Status {
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason: string; readonly message: string }[] };
}

/** @param url as Exec or Attach has answered */
export async function openRemoteCommand(url: string): Promise<RemoteCommand> {
  const channels = await openChannels(url);
  return {
    write: (text) => channels.send(STDIN, text),
    resize: (columns, rows) => channels.send(RESIZE, JSON.stringify({ Width: columns, Height: rows })),
    expectOutput: (pattern) => channels.expect(STDOUT, pattern),
    async result() {
      await channels.ended;
      return {
        stdout: channels.received(STDOUT).toString(),
        stderr: channels.received(STDERR).toString(),
        exitCode: exitCode(channels),
      };
    },
    async close() {
      channels.close();
      await channels.ended;
    },
  };
}

function exitCode(channels: Channels): number {
  const text = channels.received(STATUS).toString();
  const status = JSON.parse(text) as Status;
  if (status.status === "Success") return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
  if (!cause) throw new Error(`expected an exit code, got ${text}`);
  return Number(cause.message);
}
