import { waitUntil } from "@kuasar/install/wait-until";
import type { TaskEvent } from "./event-log.ts";
import { eventText } from "./event-text.ts";
import type { Observation } from "./observation.ts";
import type { Stage } from "./stage.ts";
import { Trial } from "./trial.ts";

/** What is done with one container, the same with every runtime. Whatever it notes is compared. */
export interface ConformanceCase {
  /** "kill: a created task". Unique. */
  readonly name: string;
  readonly run: (trial: Trial) => Promise<void>;
  /** Events of processes that end at the same time may come in any order. */
  readonly eventsInAnyOrder?: boolean;
  /** Takes too long to be run with all tests: `npm run conformance` runs it. */
  readonly slow?: boolean;
  /** Default: 45 s. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 45_000;
const SIGKILL = 9;

/** Runs a case, removes what it made, and adds its events and what it left behind to what it saw. */
export async function observe(stage: Stage, conformanceCase: ConformanceCase, id: string): Promise<Observation[]> {
  const before = await stage.traces();
  const trial = new Trial(stage, id);
  const deadline = conformanceCase.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  try {
    await within(deadline, conformanceCase.run(trial));
  } catch (error) {
    trial.note("the case itself", `failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  const gone = await remove(trial);
  trial.closeStdio();
  const events = (await stage.events.settled(id)).map((event) => eventText(event, trial.names));
  trial.note("events", eventLine(events, conformanceCase.eventsInAnyOrder ?? false));
  if (!gone) trial.note("removal", "the task could not be removed");
  trial.note("left behind", (await leftBehind(stage, before)).join(" ; ") || "nothing");
  return trial.observations;
}

/** How often the kernel runs out of a container's memory is chance: what counts is that it was told. */
function eventLine(events: readonly string[], anyOrder: boolean): string {
  const told = events.filter((event, index) => !event.startsWith("oom(") || events.indexOf(event) === index);
  return (anyOrder ? told.sort() : told).join(" ; ");
}

async function within(timeoutMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Kills and deletes the task, whatever state the case left it in. */
async function remove({ tasks, id, stage }: Trial): Promise<boolean> {
  const removed = async () => {
    await tasks.resume({ containerId: id }).catch(() => undefined);
    await tasks.kill({ containerId: id, signal: SIGKILL, all: true }).catch(() => undefined);
    // The events of a deletion that kills may come in any order.
    if (stage.events.of(id).length > 0) await stage.events.heard(id, isExitOf(id), 2000);
    const deleted = await tasks.delete({ containerId: id }).catch((error: { code?: number }) => error);
    return !("code" in deleted) || deleted.code === 5;
  };
  const gone = await waitUntil(removed, { what: `task ${id} to go`, timeoutMs: 10_000 }).catch(() => false);
  await stage.api.containers.delete({ id }).catch(() => undefined);
  return gone;
}

function isExitOf(id: string): (event: TaskEvent) => boolean {
  return ({ topic, fields }) => topic === "/tasks/exit" && fields.id === id;
}

async function leftBehind(stage: Stage, before: readonly string[]): Promise<string[]> {
  let left: string[] = [];
  const nothing = async () => {
    left = (await stage.traces()).filter((line) => !before.includes(line));
    return left.length === 0;
  };
  await waitUntil(nothing, { what: "traces to go", timeoutMs: 4000, intervalMs: 100 }).catch(() => undefined);
  return left.sort();
}
