import { call, NUMBERS } from "./kernel.ts";
import { addressOf, systemCallBeside } from "./libc.ts";

/**
 * As platform/loop.ts has it, within Node's own loop. libuv lets nobody watch file descriptors of every kind, so that an
 * epoll of ours does, on a thread that waits for it.
 */

type Handler = (events: number) => void;

interface Watched {
  readonly handler: Handler;
  /** A number may be closed and have another owner before an event of its first one arrives here. */
  readonly generation: number;
}

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EVENTS_MAX = 64;
/** struct epoll_event on x86-64, where it is packed: events, then 64 bits of our own. */
const EVENT_BYTES = 12;
const RETRY_MS = 10;

const watched = new Map<number, Watched>();
const timers = new Map<number, NodeJS.Timeout>();
let lastTimer = 0;
let lastGeneration = 0;
let onUncaught: (error: unknown) => void = (error) => {
  throw error;
};
let epollFd = -1;

function epoll(): number {
  if (epollFd < 0) epollFd = call("epoll_create1", EPOLL_CLOEXEC);
  return epollFd;
}

function control(fd: number, events: number, generation: number): void {
  const event = Buffer.alloc(EVENT_BYTES);
  event.writeUInt32LE(events, 0);
  event.writeInt32LE(fd, 4);
  event.writeUInt32LE(generation, 8);
  const change = (operation: number) => call("epoll_ctl", epoll(), operation, fd, event);
  if (events === 0) {
    unlessCode(["ENOENT", "EBADF"], () => change(EPOLL_CTL_DEL));
  } else if (!unlessCode(["ENOENT"], () => change(EPOLL_CTL_MOD))) {
    change(EPOLL_CTL_ADD);
  }
}

/** Whether the action went well; false for an error with one of the codes. */
function unlessCode(codes: readonly string[], action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

export function watch(fd: number, events: number, handler: Handler): void {
  lastGeneration = (lastGeneration + 1) >>> 0;
  watched.set(fd, { handler, generation: lastGeneration });
  control(fd, events, lastGeneration);
}

export function watchFor(fd: number, events: number): void {
  control(fd, events, watched.get(fd)?.generation ?? 0);
}

export function unwatch(fd: number): void {
  if (watched.delete(fd)) control(fd, 0, 0);
}

export function startTimer(callback: () => void, delayMs: number): number {
  const id = ++lastTimer;
  const fire = () => {
    timers.delete(id);
    guarded(callback);
  };
  timers.set(id, setTimeout(fire, Math.max(0, delayMs)));
  return id;
}

export function stopTimer(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, delayMs));
}

export function setUncaughtHandler(handler: (error: unknown) => void): void {
  onUncaught = handler;
  process.on("uncaughtException", handler);
  process.on("unhandledRejection", handler);
}

function guarded(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    onUncaught(error);
  }
}

const events = Buffer.alloc(EVENTS_MAX * EVENT_BYTES);

function dispatch(count: number): void {
  for (let at = 0; at < count * EVENT_BYTES; at += EVENT_BYTES) {
    const found = watched.get(events.readInt32LE(at + 4));
    const happened = events.readUInt32LE(at);
    if (found?.generation === events.readUInt32LE(at + 8)) guarded(() => found.handler(happened));
  }
}

/** Comes back at once: from now on Node's loop waits for our events, until the process exits. */
export function runLoop(): void {
  const args = [BigInt(epoll()), addressOf(events), BigInt(EVENTS_MAX), -1n, 0n, 8n];
  systemCallBeside(NUMBERS.epoll_pwait, args, (count) => {
    if (count < 0) {
      // Interrupted, as far as anybody knows.
      setTimeout(runLoop, RETRY_MS);
      return;
    }
    dispatch(count);
    // After the promises that these events have settled.
    setImmediate(runLoop);
  });
}
