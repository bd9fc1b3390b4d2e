import { existsSync } from "node:fs";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";

/** FAILED_PRECONDITION, with the config key that names it, if it is not there. */
export function requireFile(path: string, key: string): string {
  if (!existsSync(path))
    throw failedPrecondition(`${key} is ${path}, and there is no such file: run kuasar guest-image`);
  return path;
}
