import { call, Out } from "./kernel.ts";
import { signalByNumber } from "./signals.ts";

export const EPOLLIN = 0x001;
export const EPOLLPRI = 0x002;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;

const CLOCK_REALTIME = 0;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** Node's loop is open from the start, and its memory is its own affair. */
export function openLoop(): void {}
export function rest(): void {}

/** What only the native event loop calls: platform/node/loop.ts is in its place. */
export function watch(): never {
  throw new Error("sys.watch: expected the event loop of Node");
}
export const wait = watch;
export const runJobs = watch;

export function monotonicMs(): number {
  return performance.now();
}

export function realtime(): [seconds: number, nanoseconds: number] {
  const now = new BigInt64Array(2);
  call("clock_gettime", CLOCK_REALTIME, new Out(new Uint8Array(now.buffer)));
  return [Number(now[0]), Number(now[1])];
}

export function eventFd(): number {
  return call("eventfd2", 0, O_CLOEXEC | O_NONBLOCK);
}

/** A pipe in place of a signalfd: that one needs a signal which every thread blocks, and Node's do not. */
export function signalFd(signals: readonly number[]): number {
  const ends = new Int32Array(2);
  call("pipe2", new Out(new Uint8Array(ends.buffer)), O_CLOEXEC | O_NONBLOCK);
  const [output, input] = [ends[0] as number, ends[1] as number];
  for (const signal of signals) {
    // A pipe that is full has enough to tell already.
    process.on(signalByNumber(signal), () => void tell(input, signal));
  }
  return output;
}

function tell(input: number, signal: number): void {
  try {
    call("write", input, Uint8Array.of(signal), 1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
  }
}

export function readSignal(fd: number): number {
  const signal = new Uint8Array(1);
  try {
    return call("read", fd, new Out(signal), 1) === 1 ? (signal[0] as number) : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
    throw error;
  }
}
