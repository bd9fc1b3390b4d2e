import { setTimeout as sleep } from "node:timers/promises";
import { assertBystanderUnharmed, assertNothingElse, removeAllElse, startMayfly } from "./aftermath.ts";
import type { CrashLab } from "./crash-lab.ts";
import { type CrashPoint, pointsIn } from "./crash-point.ts";
import { type Operation, WrongAnswer } from "./operations.ts";
import type { Armed, Part } from "./part.ts";
import { readIfThere } from "./strace.ts";

/** What came of one blow. */
export interface Verdict {
  /** False where the operation went by without reaching the point. */
  readonly struck: boolean;
  /** What the client was told; undefined for success. */
  readonly told: string | undefined;
  /** Why it does not hold what must hold; undefined if all of it does. */
  readonly fault: string | undefined;
}

const OPERATION_MS = 90_000;
const POLL_MS = 5;
const LATE_POLLS = 20;

/** Runs the operation once, unharmed, and answers with the points at which the part can be struck. */
export async function findPoints(crash: CrashLab, part: Part, operation: Operation): Promise<readonly CrashPoint[]> {
  if (part.points) return part.points(operation);
  const scene = await operation.prepare(crash);
  const armed = await part.arm(crash, operation, scene, undefined);
  try {
    await operation.run(crash, scene);
  } finally {
    await armed.disarm();
  }
  const points = pointsIn(readIfThere(armed.trace));
  await removeAllElse(crash);
  await assertNothingElse(crash);
  return points;
}

/** Strikes at the point, and looks whether what must hold then does. */
export async function strikeAt(crash: CrashLab, part: Part, operation: Operation, point: CrashPoint): Promise<Verdict> {
  const mayfly = await startMayfly(crash);
  const scene = await operation.prepare(crash);
  const armed = await part.arm(crash, operation, scene, point);
  const call = begin(operation.run(crash, scene));
  let struck = false;
  try {
    struck = await isStruck(armed, call);
    if (struck) await part.strike?.(crash, armed, point);
    await mayfly.end();
    await crash.restart();
    await call.ended;
    await armed.disarm();
    // A blow that fell later than it was waited for.
    await crash.restart();
    if (call.error instanceof WrongAnswer && !part.losesPod) throw call.error;
    await mayfly.assertRemembered();
    await assertBystanderUnharmed(crash);
    await removeAllElse(crash);
    await assertNothingElse(crash);
    return { struck, told: call.error?.message, fault: undefined };
  } catch (error) {
    return { struck, told: call.error?.message, fault: (error as Error).message };
  }
}

/** The trace may say so a moment after the client has been told. */
async function isStruck(armed: Armed, call: Call): Promise<boolean> {
  for (let late = 0; late < LATE_POLLS; late += call.running ? 0 : 1) {
    if (armed.struck()) return true;
    await sleep(POLL_MS);
  }
  return false;
}

interface Call {
  running: boolean;
  error: Error | undefined;
  readonly ended: Promise<void>;
}

/** An operation under way, which is looked at from time to time. */
function begin(work: Promise<void>): Call {
  const late = sleep(OPERATION_MS, undefined, { ref: false }).then(() => {
    throw new WrongAnswer(`no answer after ${OPERATION_MS} ms`);
  });
  const call: Call = {
    running: true,
    error: undefined,
    ended: Promise.race([work, late]).then(
      () => void Object.assign(call, { running: false }),
      (error: Error) => void Object.assign(call, { running: false, error }),
    ),
  };
  return call;
}
