import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { removeIfThere } from "../platform/files.ts";
import { unwatch, watch } from "../platform/loop.ts";
import { type Copier, copy } from "./copier.ts";
import { closeOutput, type Output } from "./output.ts";

/**
 * A process's terminal: the runtime sends its master over the console socket (runc's --console-socket), and what is
 * typed and shown is copied between it and the client's FIFOs. A client that stops reading stops the process's output,
 * as a real terminal does; it may go, and another come.
 */
export interface Terminal {
  /** Takes the terminal that the runtime has sent. FAILED_PRECONDITION if it has sent none. */
  attach(): void;
  resize(columns: number, rows: number): void;
  closeStdin(): void;
  /** What is shown goes nowhere, as soon as nobody else reads it. */
  closeOutput(): void;
  /** Whether the client has not read all that was shown. */
  readonly isUnread: boolean;
  close(): void;
}

/** Listens on socketPath until the runtime has sent the terminal. stdin is a FIFO, or "" for none; owns the output. */
export function openTerminal(socketPath: string, stdin: string, output: Output): Terminal {
  try {
    return new ConsoleTerminal(socketPath, stdin, output);
  } catch (error) {
    closeOutput(output);
    throw error;
  }
}

/** A terminal that is there already, by its master, which is this one's from now on; owns the output, too. */
export function heldTerminal(master: number, stdin: string, output: Output): Terminal {
  const terminal = new HeldTerminal(stdin, output);
  try {
    terminal.take(master);
    return terminal;
  } catch (error) {
    terminal.close();
    throw error;
  }
}

class HeldTerminal implements Terminal {
  private master = -1;
  private shown: Copier | undefined;
  private typed: Copier | undefined;
  /** The client's ends of the FIFOs: with them open, a client may go and another come. */
  private keptInput = -1;
  private keptOutput: number;
  /** Until the terminal is there, and copied to it. */
  private output: number;

  constructor(
    private readonly stdin: string,
    output: Output,
  ) {
    this.output = output.fd;
    this.keptOutput = output.kept;
    sys.setNonblocking(this.output, 1);
  }

  attach(): void {}

  take(master: number): void {
    this.master = master;
    sys.setNonblocking(master, 1);
    const { output } = this;
    this.output = -1;
    this.shown = copy(sys.duplicate(master), output, () => this.typed?.close());
    const input = this.openInput();
    if (input >= 0) this.typed = copy(input, sys.duplicate(master), () => {});
  }

  private openInput(): number {
    if (!this.stdin) return -1;
    const input = sys.open(this.stdin, sys.O_RDONLY | sys.O_NONBLOCK, 0);
    this.keptInput = sys.open(this.stdin, sys.O_WRONLY | sys.O_NONBLOCK, 0);
    return input;
  }

  resize(columns: number, rows: number): void {
    if (this.master >= 0) sys.setWindowSize(this.master, rows, columns);
  }

  closeStdin(): void {
    this.keptInput = closed(this.keptInput);
  }

  closeOutput(): void {
    this.keptOutput = closed(this.keptOutput);
  }

  get isUnread(): boolean {
    return this.shown?.closed === false || (this.keptOutput >= 0 && sys.unread(this.keptOutput) > 0);
  }

  close(): void {
    this.shown?.close();
    this.typed?.close();
    this.master = closed(this.master);
    this.keptInput = closed(this.keptInput);
    this.keptOutput = closed(this.keptOutput);
    this.output = closed(this.output);
  }
}

class ConsoleTerminal extends HeldTerminal {
  private listener: number;
  private connection = -1;

  constructor(
    private readonly socketPath: string,
    stdin: string,
    output: Output,
  ) {
    super(stdin, output);
    removeIfThere(socketPath);
    this.listener = sys.listen(socketPath, 1);
    watch(this.listener, sys.EPOLLIN, () => this.accept());
  }

  private accept(): void {
    if (this.listener < 0) return;
    this.connection = sys.accept(this.listener);
    if (this.connection >= 0) this.stopListening();
  }

  override attach(): void {
    this.accept();
    const master = this.connection < 0 ? -1 : sys.receiveFd(this.connection);
    this.disconnect();
    if (master < 0) throw new StatusError(Code.FAILED_PRECONDITION, "the OCI runtime has sent no terminal");
    this.take(master);
  }

  private disconnect(): void {
    this.connection = closed(this.connection);
  }

  private stopListening(): void {
    if (this.listener < 0) return;
    unwatch(this.listener);
    this.listener = closed(this.listener);
    removeIfThere(this.socketPath);
  }

  override close(): void {
    this.stopListening();
    this.disconnect();
    super.close();
  }
}

function closed(fd: number): -1 {
  if (fd >= 0) sys.close(fd);
  return -1;
}
