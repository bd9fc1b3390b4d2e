import * as sys from "sys";

/**
 * The event loop: file descriptors, timers, and the promises that they settle. One thread, and nothing in it blocks
 * but {@link runLoop} itself.
 */

type Handler = (events: number) => void;

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

const handlers = new Map<number, Handler>();
const timers = new Map<number, Timer>();
let lastTimer = 0;
let onUncaught: (error: unknown) => void = () => {};

/** Calls handler whenever one of events (sys.EPOLLIN, ...) holds for fd; errors and hang-ups always count. */
export function watch(fd: number, events: number, handler: Handler): void {
  handlers.set(fd, handler);
  sys.watch(fd, events);
}

/** Other events for a file descriptor that is watched; none leaves it unwatched until there are some again. */
export function watchFor(fd: number, events: number): void {
  sys.watch(fd, events);
}

/** To be called before fd is closed. */
export function unwatch(fd: number): void {
  if (handlers.delete(fd)) sys.watch(fd, 0);
}

export function startTimer(callback: () => void, delayMs: number): number {
  timers.set(++lastTimer, { at: sys.monotonicMs() + Math.max(0, delayMs), callback });
  return lastTimer;
}

export function stopTimer(id: number): void {
  timers.delete(id);
}

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, delayMs));
}

/** Where an error goes that no code has handled. */
export function setUncaughtHandler(handler: (error: unknown) => void): void {
  onUncaught = handler;
}

/** A forked process starts with a loop of its own: nothing of its parent's is watched or due in it. */
export function resetLoop(): void {
  handlers.clear();
  timers.clear();
  sys.openLoop();
}

function guarded(callback: () => void): void {
  try {
    callback();
    sys.runJobs();
  } catch (error) {
    onUncaught(error);
  }
}

function untilNextTimer(): number {
  let next = Number.POSITIVE_INFINITY;
  for (const timer of timers.values()) next = Math.min(next, timer.at);
  if (next === Number.POSITIVE_INFINITY) return -1;
  return Math.max(0, Math.ceil(next - sys.monotonicMs()));
}

function fireTimers(): void {
  const now = sys.monotonicMs();
  for (const [id, timer] of timers) {
    if (timer.at <= now && timers.delete(id)) guarded(timer.callback);
  }
}

/**
 * After this long without anything to do, memory is tidied up: a pod is idle for nearly all of its life. Longer than one
 * call keeps the next waiting while many pods start at once, where tidying would take time from them.
 */
const IDLE_MS = 1_000;

/** The next events, after tidying up once if nothing happens for a while. */
function waitForEvents(): number[] {
  const timeout = untilNextTimer();
  if (timeout >= 0 && timeout <= IDLE_MS) return sys.wait(timeout);
  const events = sys.wait(IDLE_MS);
  if (events.length > 0) return events;
  sys.rest();
  return sys.wait(untilNextTimer());
}

/** Runs until the process exits. On Node it comes back at once, and Node's own loop goes on: it is to be called last. */
export function runLoop(): void {
  guarded(() => {});
  for (;;) {
    const events = waitForEvents();
    for (let i = 0; i < events.length; i += 2) {
      const handler = handlers.get(events[i] as number);
      if (handler) guarded(() => handler(events[i + 1] as number));
    }
    if (timers.size > 0) fireTimers();
  }
}
