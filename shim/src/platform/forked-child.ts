import * as sys from "sys";
import { CANNOT_START, ChildError, type HeldChild, type Report } from "./child-terms.ts";
import { unwatch, watch } from "./loop.ts";

export { ChildError, CLONE_PARENT, type HeldChild, NAMESPACE_FLAGS, type Report } from "./child-terms.ts";

/**
 * Forks (with clone() flags, into the cgroup v2 folder of a fd) and runs `become` in the child, which must end in an exec. Answers with the child's pid
 * when the exec has happened; throws a {@link ChildError} with what failed when it has not. `started` is called with
 * the pid right after the fork, for what the parent must know or do before that.
 */
export async function forkChild(
  options: ForkOptions,
  become: (report: Report) => never,
  started: (pid: number) => void = () => {},
): Promise<number> {
  const words = fork(options, [], (_, report) => become(report), started);
  // The pipe closes at the exec, or with a child that there is not: an end without a word is success.
  await words.end;
  return words.pid;
}

export interface ForkOptions {
  readonly flags?: number;
  readonly cgroup?: number;
}

/**
 * As {@link forkChild}, in two parts, between which the child waits, with no file descriptors open but the standard ones
 * and `keep`. It ends by itself if this process does. Answers once the child is there, which prepares itself while others
 * go on; what it could not do is told to whoever lets it proceed.
 */
export async function forkHeldChild(
  options: ForkOptions & {
    readonly keep: readonly number[];
    /** The child reports a pid, which is waited for. */
    readonly reportsPid: boolean;
  },
  prepare: (report: Report) => void,
  become: () => never,
  started: (pid: number) => void = () => {},
): Promise<HeldChild> {
  const [gate, opener] = sys.pipe();
  const waitAndBecome = (input: number, report: Report) => {
    prepare(report);
    sys.keepOnly([...options.keep, input, gate].sort((a, b) => a - b));
    say(input, `${HELD}\n`);
    if (sys.read(gate, new ArrayBuffer(1), 0, 1) !== 1) sys.exit(1);
    return become();
  };
  const words = fork(options, [gate], waitAndBecome, started);
  // Whoever never lets it proceed learns of its end from its parent.
  words.end.finally(() => sys.close(opener)).catch(() => {});
  if (words.failure !== undefined) await words.end;
  if (options.reportsPid) {
    await Promise.race([words.named, words.end]);
    if (!words.isNamed) throw new ChildError("it ended before its pid was known");
  }
  return {
    pid: words.pid,
    async proceed() {
      await Promise.race([words.held, words.end]);
      if (words.ended) throw new ChildError(words.failure ?? "it has ended");
      sys.write(opener, new ArrayBuffer(1), 0, 1);
      await words.end;
    },
  };
}

const HELD = "held";

/** `its` are closed here once the child has them. */
function fork(
  { flags = 0, cgroup = -1 }: ForkOptions,
  its: readonly number[],
  become: (input: number, report: Report) => never,
  started: (pid: number) => void,
): ChildWords {
  const [output, input] = sys.pipe();
  let pid = -1;
  let failure: string | undefined;
  try {
    pid = sys.fork(flags, cgroup);
    if (pid === 0) inChild(input, (report) => become(input, report));
    started(pid);
  } catch (error) {
    failure = (error as Error).message;
  }
  for (const fd of [input, ...its]) sys.close(fd);
  return new ChildWords(output, pid, failure);
}

function say(output: number, text: string): void {
  const bytes = sys.encodeUtf8(text);
  sys.write(output, bytes, 0, bytes.byteLength);
}

function inChild(output: number, become: (report: Report) => never): never {
  try {
    become({ pid: (pid) => say(output, `pid ${pid}\n`) });
  } catch (error) {
    say(output, `${String((error as Error).message).replaceAll("\n", " ")}\n`);
  }
  sys.exit(CANNOT_START);
}

const CHUNK = 4096;

/** What a child says, a line a word, until its end of the pipe closes. Anything that is no word is what failed. */
class ChildWords {
  isNamed = false;
  ended = false;
  readonly named: Promise<void>;
  readonly held: Promise<void>;
  readonly end: Promise<void>;
  private tellNamed: () => void = () => {};
  private tellHeld: () => void = () => {};
  private settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  private text = "";

  constructor(
    private readonly fd: number,
    /** The one that the child has named, else the one that was forked. */
    public pid: number,
    /** What it could not do. */
    public failure: string | undefined,
  ) {
    this.named = new Promise((resolve) => {
      this.tellNamed = resolve;
    });
    this.held = new Promise((resolve) => {
      this.tellHeld = resolve;
    });
    this.end = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    sys.setNonblocking(fd, 1);
    watch(fd, sys.EPOLLIN, () => this.read());
  }

  private read(): void {
    const buffer = new ArrayBuffer(CHUNK);
    try {
      for (;;) {
        const got = sys.read(this.fd, buffer, 0, CHUNK);
        if (got < 0) return;
        if (got === 0) {
          this.finish(this.failure === undefined ? undefined : new ChildError(this.failure));
          return;
        }
        this.text += sys.decodeUtf8(buffer, 0, got);
        this.takeLines();
      }
    } catch (error) {
      this.finish(error);
    }
  }

  private takeLines(): void {
    const lines = this.text.split("\n");
    this.text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("pid ")) {
        this.pid = Number(line.slice(4));
        this.isNamed = true;
        this.tellNamed();
      } else if (line === HELD) this.tellHeld();
      else this.failure ??= line;
    }
  }

  private finish(error: unknown): void {
    this.ended = true;
    unwatch(this.fd);
    sys.close(this.fd);
    if (error === undefined) this.settle?.resolve();
    else this.settle?.reject(error);
  }
}
