/** A process for somebody who looks into a sandbox's machine. It is not recorded: it lives no longer than who asked for it. */
export interface MachineCommand {
  readonly program: Uint8Array;
  /** What its file is called in the machine: an identifier. */
  readonly programName: string;
  /** After the program's own path. */
  readonly args: readonly string[];
  /** NAME=VALUE */
  readonly env: readonly string[];
  readonly terminal: boolean;
  readonly size?: TerminalSize;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface MachineProcess {
  /** What it writes, as it comes, until it has ended; with a terminal there is no stderr. Each to be read once. */
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Its exit status, 128 + the signal's number for one that a signal ended. */
  readonly exited: Promise<number>;
  /** Answers when the process's pipe has taken all of it. */
  writeInput(data: Uint8Array, end: boolean): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  /** Ends it if it runs, and removes all that was made for it. */
  close(): Promise<void>;
}
