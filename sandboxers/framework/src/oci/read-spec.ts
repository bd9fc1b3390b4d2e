import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errno, errorText, invalidArgument } from "../error/sandbox-error.ts";
import type { OciSpec } from "./spec.ts";
import { isOciSpec } from "./spec-shape.ts";

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
  if (!isOciSpec(spec)) {
    throw invalidArgument(`${path} is not an OCI runtime spec`);
  }
  return spec;
}
