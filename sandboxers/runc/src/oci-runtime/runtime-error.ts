import { readFileSync } from "node:fs";
import { type SandboxError, unknown } from "@kuasar/framework/error/sandbox-error";
import type { RunResult } from "@kuasar/framework/monitor/monitor";

/**
 * What the runc shim says of a failed command: `what: message`, with the last error in the runtime's log, or else with
 * how the command ended and what it wrote. Contract: containerd's `pkg/process/init.go`, runtimeError.
 */
export function runtimeError(what: string, log: string, result: RunResult): SandboxError {
  const logged = lastError(log);
  if (logged !== "") {
    return unknown(`${what}: ${logged}`);
  }
  const output = Buffer.concat([result.stdout, result.stderr]).toString().trim();
  return unknown(`${what}: exit status ${result.exitStatus}${output === "" ? "" : `: ${output}`}`);
}

/** The message of the last line of level "error" in a log of JSON lines; "" if there is none. */
export function lastError(log: string): string {
  let text: string;
  try {
    text = readFileSync(log, "utf8");
  } catch {
    return "";
  }
  return lastErrorIn(text);
}

export function lastErrorIn(text: string): string {
  for (const line of text.split("\n").reverse()) {
    try {
      const entry = JSON.parse(line) as { level?: unknown; msg?: unknown } | null;
      if (entry?.level === "error" && typeof entry.msg === "string") {
        return entry.msg.trim();
      }
    } catch {
      // A line cut short, or not the runtime's.
    }
  }
  return "";
}
