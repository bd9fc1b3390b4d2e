import { constants } from "node:os";

export function signalByNumber(signal: number): NodeJS.Signals {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  if (!found) throw new RangeError(`expected the number of a signal, got ${signal}`);
  return found[0] as NodeJS.Signals;
}
