import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type FifoReader, type FifoWriter, makeFifo, readFifo, writeFifo } from "./byte-stream.ts";

export interface StdioOptions {
  readonly stdin?: boolean;
  /** One stream for both, as a terminal has it. */
  readonly terminal?: boolean;
}

/** The FIFOs of one process, and our ends of them, as containerd's cio package makes them. */
export class Stdio {
  readonly paths: {
    readonly stdin: string;
    readonly stdout: string;
    readonly stderr: string;
    readonly terminal: boolean;
  };
  readonly stdout: FifoReader;
  readonly stderr: FifoReader | undefined;
  readonly stdin: FifoWriter | undefined;

  constructor(
    private readonly directory: string,
    { stdin = false, terminal = false }: StdioOptions = {},
  ) {
    mkdirSync(directory, { recursive: true });
    const path = (name: string, wanted: boolean) => {
      if (!wanted) return "";
      makeFifo(join(directory, name));
      return join(directory, name);
    };
    this.paths = {
      stdin: path("stdin", stdin),
      stdout: path("stdout", true),
      stderr: path("stderr", !terminal),
      terminal,
    };
    this.stdout = readFifo(this.paths.stdout);
    this.stderr = terminal ? undefined : readFifo(this.paths.stderr);
    this.stdin = stdin ? writeFifo(this.paths.stdin) : undefined;
  }

  /** Another reader of the output, after the first has gone. */
  readAgain(): FifoReader {
    return readFifo(this.paths.stdout);
  }

  close(): void {
    for (const end of [this.stdout, this.stderr, this.stdin]) end?.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
