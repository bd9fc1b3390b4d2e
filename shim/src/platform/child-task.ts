import * as sys from "sys";
import type { ChildPlan } from "../child/child-plan.ts";
import { CANNOT_START, type ChildCode } from "./child-terms.ts";

/** What a server leaves to its child, as JSON: see sys.forkChild. */
export interface ChildTask {
  readonly plan: ChildPlan;
  /** A pipe to the parent, for a line a word. */
  readonly input: number;
  /** Where the child waits for a byte, with nothing else open but what is kept. */
  readonly hold?: { readonly gate: number; readonly keep: readonly number[] } | undefined;
}

/** The word of one that waits. */
export const HELD = "held";

/** What a child of a server does, which begins with the command bundle's child(): it becomes its program, or says why not. */
export function runChild(code: ChildCode<ChildPlan>): never {
  const { plan, input, hold } = JSON.parse(sys.inheritance()) as ChildTask;
  const say = (text: string) => {
    const bytes = sys.encodeUtf8(`${text}\n`);
    sys.write(input, bytes, 0, bytes.byteLength);
  };
  try {
    code.prepare(plan, { pid: (pid) => say(`pid ${pid}`) });
    if (hold) {
      const { gate, keep } = hold;
      sys.keepOnly([...keep, input, gate].sort((a, b) => a - b));
      say(HELD);
      if (sys.read(gate, new ArrayBuffer(1), 0, 1) !== 1) sys.exit(1);
    }
    code.become(plan, sys.inheritedBytes());
  } catch (error) {
    say(String((error as Error).message).replaceAll("\n", " "));
  }
  sys.exit(CANNOT_START);
}
