import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** An input that once found a fault, kept so that the fault does not come back. */
export interface FuzzCase {
  readonly file: string;
  /** What was wrong with it. */
  readonly fault: string;
  readonly input: unknown;
}

const folder = join(dirname(fileURLToPath(import.meta.url)), "cases");

export function casesOf(target: string): FuzzCase[] {
  const cases = join(folder, target);
  if (!existsSync(cases)) return [];
  return readdirSync(cases)
    .sort()
    .map((file) => ({ file, ...(JSON.parse(readFileSync(join(cases, file), "utf8")) as Omit<FuzzCase, "file">) }));
}

/** Answers with the file's path. */
export function keepCase(target: string, fault: string, input: unknown): string {
  const name = createHash("sha256").update(JSON.stringify(input)).digest("hex").slice(0, 12);
  const path = join(folder, target, `${name}.json`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ fault, input }, undefined, 2)}\n`);
  return path;
}
