import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { waitUntil } from "@kuasar/install/wait-until";

/** How much of an output is kept as text; all of it is counted and digested. */
const KEPT_BYTES = 4096;

/** Where programs stand that hold one end of a FIFO: opening one may block, and must not block us. */
export interface FifoEnd {
  /** Ends the program, and with it the end that it holds. */
  kill(): void;
}

/** The reading end of a FIFO that a process of a container writes to. */
export interface FifoReader extends FifoEnd {
  readonly text: string;
  readonly bytes: number;
  /** sha256 of all that has come, once it has ended. */
  digest(): string;
  readonly ended: boolean;
  pause(): void;
  resume(): void;
  /** @throws at the deadline, with what has come instead */
  saw(text: string, timeoutMs?: number): Promise<void>;
  /** @returns whether the end has come before the time was over */
  end(timeoutMs: number): Promise<boolean>;
}

export interface FifoWriter extends FifoEnd {
  write(text: string): void;
  end(): void;
}

export function makeFifo(path: string): void {
  execFileSync("mkfifo", ["-m", "600", path]);
}

export function readFifo(path: string): FifoReader {
  const child = spawn("cat", [path], { stdio: ["ignore", "pipe", "ignore"] });
  const hash = createHash("sha256");
  const state = { text: "", bytes: 0, ended: false };
  child.stdout.on("data", (bytes: Buffer) => {
    if (state.bytes < KEPT_BYTES) state.text += bytes.subarray(0, KEPT_BYTES - state.bytes).toString("latin1");
    state.bytes += bytes.length;
    hash.update(bytes);
  });
  child.stdout.on("end", () => {
    state.ended = true;
  });
  return {
    get text() {
      return state.text;
    },
    get bytes() {
      return state.bytes;
    },
    get ended() {
      return state.ended;
    },
    digest: () => hash.copy().digest("hex"),
    pause: () => child.stdout.pause(),
    resume: () => child.stdout.resume(),
    kill: () => endChild(child),
    async saw(text, timeoutMs = 10_000) {
      const what = `${JSON.stringify(text)} in the output`;
      await waitUntil(() => state.text.includes(text), { what, timeoutMs, intervalMs: 5 }).catch((cause) => {
        throw new Error(`${what} did not come; there is ${JSON.stringify(state.text)}`, { cause });
      });
    },
    end: (timeoutMs) => waitUntil(() => state.ended, { what: "the end", timeoutMs, intervalMs: 5 }).catch(() => false),
  };
}

export function writeFifo(path: string): FifoWriter {
  const child = spawn("sh", ["-c", 'exec cat > "$1"', "sh", path], { stdio: ["pipe", "ignore", "ignore"] });
  // A container may go without reading what it was sent.
  child.stdin.on("error", () => undefined);
  return {
    write: (text) => void child.stdin.write(text),
    end: () => child.stdin.end(),
    kill: () => endChild(child),
  };
}

function endChild(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
}
