import fc from "fast-check";
import type { FuzzSubject, FuzzTarget } from "./fuzz-target.ts";

export interface FuzzRun {
  readonly runs: number;
  /** The smallest input found that has the fault, or undefined where there was none. */
  readonly found: { readonly input: unknown; readonly fault: string } | undefined;
}

/** Feeds a target inputs that the seed determines, until the time is over or a fault is found; that one is shrunk. */
export async function fuzz(target: FuzzTarget, seconds: number, seed: number): Promise<FuzzRun> {
  const feeder = new Feeder(target);
  const property = fc.asyncProperty(target.inputs, (input) => feeder.feed(input));
  const ms = seconds * 1000;
  const result = await fc.check(property, {
    seed,
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: ms,
    ignoreEqualValues: true,
  });
  const { counterexample, errorInstance } = result;
  if (counterexample) {
    // That of the last input which had not the fault.
    await feeder.close().catch(() => undefined);
    return { runs: feeder.runs, found: { input: counterexample[0], fault: faultText(errorInstance) } };
  }
  try {
    await feeder.close();
  } catch (error) {
    return { runs: feeder.runs, found: { input: null, fault: `at the end: ${faultText(error)}` } };
  }
  return { runs: feeder.runs, found: undefined };
}

/** Throws the fault, if it is there. */
export async function replay(target: FuzzTarget, inputs: readonly unknown[]): Promise<void> {
  const feeder = new Feeder(target);
  for (const input of inputs) await feeder.feed(input);
  await feeder.close();
}

const open = new Set<FuzzSubject<unknown>>();

/** For a run that is interrupted: its processes would stay. */
export async function closeSubjects(): Promise<void> {
  await Promise.allSettled([...open].map((subject) => subject.close()));
}

/** One subject for all inputs; a new one after a fault, which may have left it in no good state. */
class Feeder {
  runs = 0;
  private subject: FuzzSubject<unknown> | undefined;

  constructor(private readonly target: FuzzTarget) {}

  /** The time may be over while an input is being fed, which then goes on by itself. */
  private last: Promise<void> = Promise.resolve();

  feed(input: unknown): Promise<void> {
    this.last = this.feedNow(input);
    return this.last;
  }

  private async feedNow(input: unknown): Promise<void> {
    this.runs++;
    if (!this.subject) {
      this.subject = await this.target.open();
      open.add(this.subject);
    }
    const stray = watchStrayErrors();
    try {
      await this.subject.feed(input);
      stray.throwAny();
    } catch (error) {
      // The fault that counts is the first.
      await this.closeSubject().catch(() => undefined);
      throw error;
    } finally {
      stray.stop();
    }
  }

  /** Throws the fault of an input that was still being fed. */
  async close(): Promise<void> {
    await this.last;
    await this.closeSubject();
  }

  private async closeSubject(): Promise<void> {
    const { subject } = this;
    this.subject = undefined;
    if (subject && open.delete(subject)) await subject.close();
  }
}

/** An error that no code waits for would end the process that it happens in: a fault like any other. */
function watchStrayErrors() {
  let found: unknown;
  const keep = (error: unknown) => {
    found ??= error;
  };
  process.on("unhandledRejection", keep).on("uncaughtException", keep);
  return {
    throwAny() {
      if (found !== undefined) throw found;
    },
    stop() {
      process.off("unhandledRejection", keep).off("uncaughtException", keep);
    },
  };
}

function faultText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
