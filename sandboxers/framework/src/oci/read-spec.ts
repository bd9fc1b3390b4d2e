import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errno, errorText, invalidArgument } from "../error/sandbox-error.ts";
import { isJsonObject } from "../store/json.ts";
import type { OciSpec } from "./spec.ts";

export const SPEC_FILE = "config.json";

/** The bundle's spec, or undefined if it has none. INVALID_ARGUMENT if there is one that is not a spec. */
export function readSpec(bundle: string): OciSpec | undefined {
  const path = join(bundle, SPEC_FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errno(error) === "ENOENT") {
      return undefined;
    }
    throw invalidArgument(`${path} cannot be read: ${errorText(error)}`);
  }
  let spec: unknown;
  try {
    spec = JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`${path} is not JSON: ${errorText(error)}`);
  }
  if (!isJsonObject(spec) || !wellFormed(spec)) {
    throw invalidArgument(`${path} is not an OCI runtime spec`);
  }
  return spec as OciSpec;
}

// Only what this process would trip over; the OCI runtime checks the rest.
function wellFormed(spec: Record<string, unknown>): boolean {
  return (
    optional(spec.linux, isJsonObject) &&
    optional(spec.process, isJsonObject) &&
    optional(spec.annotations, isJsonObject) &&
    optional(spec.hooks, isJsonObject) &&
    optional(spec.mounts, (mounts) => Array.isArray(mounts) && mounts.every(isJsonObject)) &&
    optional(
      (spec.linux as Record<string, unknown> | undefined)?.namespaces,
      (namespaces) => Array.isArray(namespaces) && namespaces.every(isJsonObject),
    )
  );
}

function optional(value: unknown, check: (value: unknown) => boolean): boolean {
  return value === undefined || value === null || check(value);
}
