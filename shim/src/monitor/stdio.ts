import * as sys from "sys";
import { type BoundedLog, openBoundedLog } from "./bounded-log.ts";
import { type LoggedContainer, startLogDriver } from "./log-driver.ts";
import { closeOutput, isFifo, type Output, openOutput } from "./output.ts";
import { type Relay, relayInput, relayOutput } from "./relay.ts";
import { parseOutputUris } from "./stream-uri.ts";
import { heldTerminal, type Terminal } from "./terminal.ts";

/** What the monitor keeps of a process's stdio while the process and its record live. */
export interface ProcessStdio {
  /** For the child: what becomes its file descriptors 0, 1 and 2. Closed here once the child has them. */
  readonly child: readonly [stdin: number, stdout: number, stderr: number];
  readonly terminal: Terminal | undefined;
  closeChildEnds(): void;
  /** Whether the client has not read all that the process has written by now. */
  readonly isUnread: boolean;
  /** End of input for the process. */
  closeStdin(): void;
  /** Nobody will read what comes: the process is told so, by SIGPIPE or EPIPE, unless it has a terminal. */
  closeOutput(fd: 1 | 2): void;
  close(): void;
}

/** kuasar.monitor.v1.Stdio, without its terminal. */
export interface StdioPaths {
  readonly stdin?: string | null | undefined;
  readonly stdout?: string | null | undefined;
  readonly stderr?: string | null | undefined;
  /** Owner of the FIFOs and pipes that the process gets: runc's options IoUid and IoGid. */
  readonly uid?: number | null | undefined;
  readonly gid?: number | null | undefined;
  /** Pipes in place of the FIFOs themselves. */
  readonly pipes?: boolean | null | undefined;
  /** Files are written by the monitor, which keeps the last so many bytes. */
  readonly keptBytes?: number | null | undefined;
}

/** Who the stdio is for. */
export interface StdioOwner extends LoggedContainer {
  readonly exec: boolean;
}

/**
 * Opens a process's FIFOs and files so that it can have them as they are, with nobody copying in between; but for what
 * relay.ts is for.
 *
 * Of each FIFO the monitor keeps the other end: of stdin the writing one, so that input ends when CloseIO says so and
 * not when a client detaches; of stdout and stderr the reading one, so that a process is not killed by SIGPIPE, and
 * what it wrote is not lost, while containerd restarts.
 */
export async function openStdio(paths: StdioPaths, owner: StdioOwner): Promise<ProcessStdio> {
  const opened = new Opened(undefined, paths.uid ?? 0, paths.gid ?? 0);
  const targets = parseOutputUris(paths.stdout ?? "", paths.stderr ?? "");
  try {
    const piped = paths.pipes ?? false;
    opened.stdin(paths.stdin ?? "", piped);
    if (targets.driver) {
      const pipes = await startLogDriver(targets.driver, owner);
      opened.child[1] = pipes.stdout;
      opened.child[2] = pipes.stderr;
    } else if (paths.keptBytes) {
      opened.log(1, targets.stdout, paths.keptBytes);
      opened.log(2, targets.stderr, paths.keptBytes);
    } else {
      await opened.output(1, targets.stdout, piped || owner.exec);
      await opened.output(2, targets.stderr, piped || owner.exec);
    }
  } catch (error) {
    opened.close();
    throw error;
  }
  return opened;
}

/** The stdio of a process with a terminal: the command that makes it has /dev/null, the process the terminal. */
export async function terminalStdio(terminal: Terminal): Promise<ProcessStdio> {
  const opened = new Opened(terminal);
  opened.stdin("", false);
  await opened.output(1, "", false);
  await opened.output(2, "", false);
  return opened;
}

/** The stdio of a process that gets a terminal of the monitor's own making. */
export async function spawnedTerminalStdio(
  { stdin, stdout }: StdioPaths,
  owner: LoggedContainer,
): Promise<ProcessStdio> {
  const output = await openShown(stdout ?? "", owner);
  const [master, slave] = openTerminalOr(output);
  let terminal: Terminal;
  try {
    terminal = heldTerminal(master, stdin ?? "", output);
  } catch (error) {
    sys.close(slave);
    throw error;
  }
  const opened = new Opened(terminal);
  opened.child[0] = slave;
  opened.child[1] = sys.duplicate(slave);
  opened.child[2] = sys.duplicate(slave);
  return opened;
}

/** What a terminal shows has one stream: a log driver hears nothing on the other. */
export async function openShown(uri: string, owner: LoggedContainer): Promise<Output> {
  const targets = parseOutputUris(uri, "");
  if (!targets.driver) return openOutput(targets.stdout);
  const { stdout, stderr } = await startLogDriver(targets.driver, owner);
  sys.close(stderr);
  return { fd: stdout, kept: -1 };
}

function openTerminalOr(output: Output): [master: number, slave: number] {
  try {
    return sys.openTerminal();
  } catch (error) {
    closeOutput(output);
    throw error;
  }
}

class Opened implements ProcessStdio {
  readonly child: [number, number, number] = [-1, -1, -1];
  private readonly kept: [number, number, number] = [-1, -1, -1];
  private readonly relays: Relay[] = [];
  private readonly outputRelays: Relay[] = [];
  private readonly logs: BoundedLog[] = [];

  constructor(
    readonly terminal: Terminal | undefined = undefined,
    private readonly uid = 0,
    private readonly gid = 0,
  ) {}

  /** FIFOs and pipes only: /dev/null and files are not ours to give away. */
  private give(fd: number): void {
    if (this.uid !== 0 || this.gid !== 0) sys.fchown(fd, this.uid, this.gid);
  }

  stdin(path: string, relayed: boolean): void {
    if (path === "") {
      this.child[0] = sys.open("/dev/null", sys.O_RDONLY, 0);
    } else if (isFifo(path)) {
      // Opened for reading without waiting for a writer, then for writing, which now has a reader.
      this.child[0] = sys.open(path, sys.O_RDONLY | sys.O_NONBLOCK | sys.O_NOFOLLOW, 0);
      this.kept[0] = sys.open(path, sys.O_WRONLY | sys.O_NONBLOCK, 0);
      if (relayed) this.child[0] = this.relay(relayInput(this.child[0]));
      else sys.setNonblocking(this.child[0], 0);
      this.give(this.child[0]);
    } else {
      this.child[0] = sys.open(path, sys.O_RDONLY | sys.O_NOCTTY, 0);
    }
  }

  async output(fd: 1 | 2, path: string, relayed: boolean): Promise<void> {
    const output = await openOutput(path);
    this.child[fd] = output.fd;
    this.kept[fd] = output.kept;
    if (output.kept < 0) return;
    if (relayed) {
      const relay = relayOutput(output.fd);
      this.outputRelays.push(relay);
      this.child[fd] = this.relay(relay);
    }
    this.give(this.child[fd]);
  }

  log(fd: 1 | 2, path: string, keptBytes: number): void {
    if (path === "") {
      this.child[fd] = sys.open("/dev/null", sys.O_WRONLY, 0);
      return;
    }
    const log = openBoundedLog(path, keptBytes);
    this.logs.push(log);
    this.child[fd] = log.end;
  }

  private relay(relay: Relay): number {
    this.relays.push(relay);
    return relay.end;
  }

  closeChildEnds(): void {
    closeAll(this.child);
  }

  get isUnread(): boolean {
    const [, stdout, stderr] = this.kept;
    return (
      this.outputRelays.some((relay) => relay.isBehind) ||
      this.logs.some((log) => log.isBehind) ||
      [stdout, stderr].some((fd) => fd >= 0 && sys.unread(fd) > 0) ||
      (this.terminal?.isUnread ?? false)
    );
  }

  closeStdin(): void {
    this.terminal?.closeStdin();
    if (this.kept[0] >= 0) sys.close(this.kept[0]);
    this.kept[0] = -1;
  }

  closeOutput(fd: 1 | 2): void {
    if (fd === 1) this.terminal?.closeOutput();
    if (this.kept[fd] >= 0) sys.close(this.kept[fd]);
    this.kept[fd] = -1;
  }

  close(): void {
    this.closeChildEnds();
    closeAll(this.kept);
    for (const relay of this.relays) relay.finish();
    for (const log of this.logs) log.close();
    this.terminal?.close();
  }
}

function closeAll(fds: [number, number, number]): void {
  for (let i = 0; i < fds.length; i++) {
    if ((fds[i] as number) >= 0) sys.close(fds[i] as number);
    fds[i] = -1;
  }
}
