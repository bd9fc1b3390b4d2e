import { readFileSync } from "node:fs";

/** Reads one file of a cgroup; undefined if it is not there. */
export type ReadStatFile = (name: string) => string | undefined;

export function folderReader(folder: string): ReadStatFile {
  return (name) => {
    try {
      return readFileSync(`${folder}/${name}`, "utf8");
    } catch {
      return undefined;
    }
  };
}

/**
 * 2^64 - 1, which stands for "no limit" on the wire. It does not fit a double, so it is handed to the encoder in the
 * halves that protobufjs also takes in place of a number.
 */
export const NO_LIMIT = { low: -1, high: -1, unsigned: true } as unknown as number;

/** Lines `key value`. Keys without a prototype: they come from a file. */
export function parseKeyValues(text: string | undefined): Record<string, number> {
  const values: Record<string, number> = Object.create(null);
  for (const line of (text ?? "").split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) {
      values[line.slice(0, space)] = toCount(line.slice(space + 1));
    }
  }
  return values;
}

/** A decimal number; 0 for anything else and for negative ones, as containerd's cgroups package has it. */
export function toCount(text: string | undefined): number {
  const value = Number(text);
  return Number.isFinite(value) && value > 0 ? value : 0;
}
