import { type FileHandle, open } from "node:fs/promises";
import { errno } from "@kuasar/framework/error/sandbox-error";

const LINES = 12;
const LINE_CHARACTERS = 300;
const TAIL_BYTES = 8 * 1024;

/**
 * The last lines of what a machine's processes have said, and the guest on its console: there anybody in the guest can
 * write, and what cannot be printed is taken out. "" if nothing was said.
 */
export async function lastLines(logs: readonly string[]): Promise<string> {
  const tails = await Promise.all(logs.map(tail));
  return tails.flatMap((text) => printableLines(text).slice(-LINES)).join("\n");
}

export function printableLines(text: string): string[] {
  return text
    .split(/[\r\n]+/)
    .map((line) => printable(line).trimEnd().slice(0, LINE_CHARACTERS))
    .filter((line) => line !== "");
}

/** Colours and cursor movements of a terminal, which are taken out as a whole. */
const TERMINAL_SEQUENCE = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[ -/]*[@-~]`, "g");

const printable = (line: string) => line.replace(TERMINAL_SEQUENCE, "").replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");

/** "" of what is not there. */
export async function tail(path: string): Promise<string> {
  const now = await tailOf(path);
  // A log that has just been begun anew (`kept_bytes` of kuasar.monitor.v1.Stdio).
  return now.length < TAIL_BYTES ? ((await tailOf(`${path}.1`)) + now).slice(-TAIL_BYTES) : now;
}

async function tailOf(path: string): Promise<string> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (error) {
    if (errno(error) === "ENOENT") return "";
    throw error;
  }
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(TAIL_BYTES),
      0,
      TAIL_BYTES,
      Math.max(0, size - TAIL_BYTES),
    );
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
