import * as sys from "sys";

/** Log lines in logrus' text form, which is what containerd's own log is in: they end up side by side. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

export type Fields = Readonly<Record<string, unknown>>;

const STDERR = 2;

/** Writes to standard error, and never waits: with nobody reading and the pipe full, lines are dropped. */
export function createLog(fields: Fields, debug: boolean): Log {
  const line = (level: string) => (message: string, more?: Fields) => {
    const all = { time: new Date().toISOString(), level, msg: message, ...fields, ...more };
    const text = Object.entries(all)
      .map(([key, value]) => `${key}=${quoted(value)}`)
      .join(" ");
    const bytes = sys.encodeUtf8(`${text}\n`);
    try {
      sys.write(STDERR, bytes, 0, bytes.byteLength);
    } catch {
      // The log's reader has gone, and there is nowhere else to say it.
    }
  };
  return { debug: debug ? line("debug") : () => {}, info: line("info"), warn: line("warning"), error: line("error") };
}

function quoted(value: unknown): string {
  const text = value instanceof Error ? value.message : String(value);
  return /^[A-Za-z0-9._/@^+:-]+$/.test(text) ? text : JSON.stringify(text);
}
