import type { Arbitrary } from "fast-check";

/** Something that takes input from outside, and what it is given. Each is one file in targets/. */
export interface FuzzTarget<Input = unknown> {
  readonly name: string;
  /** Inputs are JSON, so that one can be kept as a file; what they stand for is the target's own affair. */
  readonly inputs: Arbitrary<Input>;
  /** It talks to the native programs in dist/bin as root; the others need nothing but Node. */
  readonly native: boolean;
  /** Makes what inputs are fed to. It takes any number of them, until one has found a fault. */
  open(): Promise<FuzzSubject<Input>>;
}

export interface FuzzSubject<Input> {
  /** Throws for whatever must not happen: a crash, a hang, an answer that is none, a trace left behind. */
  feed(input: Input): Promise<void>;
  /** Throws for what can be told only at the end: descriptors or memory that have grown. */
  close(): Promise<void>;
}

/** For the list of targets, where each has inputs of its own. */
export function fuzzTarget<Input>(target: FuzzTarget<Input>): FuzzTarget {
  return target as unknown as FuzzTarget;
}

/** Throws where the promise takes longer: nothing that is fuzzed may hang. */
export async function withinDeadline<T>(what: string, promise: Promise<T>, ms = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no end after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
