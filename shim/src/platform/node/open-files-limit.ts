import { OPEN_FILES } from "./environment.ts";
import { Out, ownKernel } from "./kernel.ts";

const RLIMIT_NOFILE = 7;

/**
 * The limit on open files that this process was started with, as struct rlimit. Node raises its own, and would hand
 * the raised one on to every container; the launcher has written down what it was.
 */
export function openFilesLimit(): Uint8Array | undefined {
  const soft = process.env[OPEN_FILES];
  if (soft === undefined || !/^\d+$/.test(soft)) return undefined;
  const limit = new BigUint64Array(2);
  const bytes = new Uint8Array(limit.buffer);
  if (ownKernel.call("prlimit64", [0, RLIMIT_NOFILE, 0, new Out(bytes)]) < 0) return undefined;
  limit[0] = BigInt(soft);
  return bytes;
}
