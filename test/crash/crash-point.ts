import { onlyLooks } from "./syscalls.ts";

/** A moment in the life of a process: just before its n-th call of one kind, counted from where tracing began. */
export interface CrashPoint {
  readonly syscall: string;
  readonly occurrence: number;
  /** The call as it was seen when it was recorded. */
  readonly text: string;
}

/** `rename#2`, which is also how strace is told of it. */
export function pointName({ syscall, occurrence }: CrashPoint): string {
  return `${syscall}#${occurrence}`;
}

/** The points in what strace wrote of one process, in their order. */
export function pointsIn(trace: string): CrashPoint[] {
  const seen = new Map<string, number>();
  const points: CrashPoint[] = [];
  for (const line of trace.split("\n")) {
    const syscall = /^(?:\d+ +)?([a-z0-9_]+)\(/.exec(line)?.[1];
    if (syscall === undefined) continue;
    const occurrence = (seen.get(syscall) ?? 0) + 1;
    seen.set(syscall, occurrence);
    if (!onlyLooks(syscall, line)) points.push({ syscall, occurrence, text: line.slice(0, 160) });
  }
  return points;
}
