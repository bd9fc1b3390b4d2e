import { lstatSync, type Stats } from "node:fs";
import { isAbsolute, normalize } from "node:path";
import { errorText, invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "./identifier.ts";

/**
 * The bundle's path, if it may be trusted: absolute, without `..`, an existing directory, and owned by root (or by
 * whoever runs this process, for tests without root). Throws INVALID_ARGUMENT otherwise.
 */
export function validateBundlePath(path: string): string {
  if (path === "" || !isAbsolute(path) || path.includes("\0")) {
    throw invalidArgument(`bundle ${quote(path)} must be an absolute path`);
  }
  const bundle = normalize(path).replace(/(.)\/$/, "$1");
  if (path.split("/").includes("..")) {
    throw invalidArgument(`bundle ${quote(path)} must not contain ".."`);
  }
  let stats: Stats;
  try {
    stats = lstatSync(bundle);
  } catch (error) {
    throw invalidArgument(`bundle ${quote(path)} cannot be used: ${errorText(error)}`);
  }
  if (!stats.isDirectory()) {
    throw invalidArgument(`bundle ${quote(path)} is not a directory`);
  }
  if (stats.uid !== 0 && stats.uid !== process.getuid?.()) {
    throw invalidArgument(`bundle ${quote(path)} belongs to uid ${stats.uid}, expected root`);
  }
  return bundle;
}
