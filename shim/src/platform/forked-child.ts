import * as sys from "sys";
import type { ChildPlan } from "../child/child-plan.ts";
import { type ChildTask, HELD } from "./child-task.ts";
import { ChildError, type ForkOptions, type HeldChild, type HeldForkOptions } from "./child-terms.ts";
import { unwatch, watch } from "./loop.ts";

export { ChildError, type HeldChild, NAMESPACE_FLAGS } from "./child-terms.ts";

/**
 * Forks; the child follows the plan (child-task.ts), which must end in an exec. Answers with the child's pid when the exec
 * has happened; throws a {@link ChildError} with what failed when it has not. `started` is called with the pid right after
 * the fork, for what the parent must know or do before that.
 */
export async function forkChild(
  options: ForkOptions,
  plan: ChildPlan,
  started: (pid: number) => void = () => {},
): Promise<number> {
  const words = fork(options, plan, undefined, started);
  // The pipe closes at the exec, or with a child that there is not: an end without a word is success.
  await words.end;
  return words.pid;
}

/**
 * As {@link forkChild}, in two parts, between which the child waits, with no file descriptors open but the standard ones
 * and `keep`. It ends by itself if this process does. Answers once the child is there, which prepares itself while others
 * go on; what it could not do is told to whoever lets it proceed.
 */
export async function forkHeldChild(
  options: HeldForkOptions,
  plan: ChildPlan,
  started: (pid: number) => void = () => {},
): Promise<HeldChild> {
  const [gate, opener] = sys.pipe();
  const words = fork(options, plan, { gate, keep: options.keep }, started);
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

const NO_FILTER = new ArrayBuffer(0);

function fork(
  { flags = 0, cgroup = -1, filter }: ForkOptions,
  plan: ChildPlan,
  hold: ChildTask["hold"],
  started: (pid: number) => void,
): ChildWords {
  const [output, input] = sys.pipe();
  const task: ChildTask = { plan, input, hold };
  let pid = -1;
  let failure: string | undefined;
  try {
    pid = sys.forkChild(flags, cgroup, JSON.stringify(task), filter?.length ? filter.slice().buffer : NO_FILTER);
    started(pid);
  } catch (error) {
    failure = (error as Error).message;
  }
  for (const fd of [input, ...(hold ? [hold.gate] : [])]) sys.close(fd);
  return new ChildWords(output, pid, failure);
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
