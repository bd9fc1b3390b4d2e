import { destination, pino } from "pino";
import type { Logger } from "./logger.ts";

/** JSON lines on stderr, written at once: what was logged before a crash is there after it. */
export function createPinoLogger(level: string): Logger {
  return pino({ level, base: null, timestamp: isoTime }, destination({ fd: 2, sync: true }));
}

function isoTime(): string {
  return `,"time":"${new Date().toISOString()}"`;
}
