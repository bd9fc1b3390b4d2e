import { invalidArgument } from "../error/sandbox-error.ts";

const SIGNAL_MAX = 64;

/** INVALID_ARGUMENT for what is no signal's number; 0, which only asks whether the process is there, is one. */
export function checkSignal(signal: number): void {
  if (signal > SIGNAL_MAX) {
    throw invalidArgument(`signal ${signal} is out of range, expected 0 to ${SIGNAL_MAX}`);
  }
}
