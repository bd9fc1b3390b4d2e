import { execFile } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorText, failedPrecondition } from "@kuasar/framework/error/sandbox-error";

export const MAKE_WRITABLE = "mke2fs";
export const UPPER = "upper";
export const WORK = "work";
const TIMEOUT_MS = 60_000;
const run = promisify(execFile);

/**
 * A file with an empty ext4, sparse, that has the two folders an overlay writes to; answers with its path. It has no
 * journal, since it lives no longer than its container. FAILED_PRECONDITION with what mke2fs says.
 */
export async function makeWritableLayer(folder: string, bytes: number): Promise<string> {
  const path = join(folder, "writable.img");
  const content = join(folder, "content");
  for (const name of [UPPER, WORK]) mkdirSync(join(content, name), { recursive: true, mode: 0o755 });
  const file = openSync(path, "wx", 0o600);
  ftruncateSync(file, bytes);
  closeSync(file);
  // Its tables are zeros already, as all of a sparse file.
  const extended = "lazy_itable_init=1,nodiscard,assume_storage_prezeroed=1,root_owner=0:0";
  const args = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E", extended, "-d", content, path];
  try {
    await run(MAKE_WRITABLE, args, { timeout: TIMEOUT_MS });
  } catch (error) {
    throw failedPrecondition(`a container's writable layer cannot be made: ${errorText(error)}`);
  }
  rmSync(content, { recursive: true });
  return path;
}
