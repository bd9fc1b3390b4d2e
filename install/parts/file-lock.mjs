import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { runCommand } from "./run-command.mjs";

/**
 * Holds an exclusive lock on a file while `work` runs. Node has no flock(2), but the lock belongs to the open file
 * description, so flock(1) can take it for a descriptor of ours. Children that inherit the descriptor keep the lock
 * too: when this process is killed, nobody else enters before its orphans have ended.
 *
 * @template T
 * @param {string} path the lock file, made if it is not there
 * @param {(fd: number) => Promise<T>} work gets the descriptor, to hand on to its children
 * @returns {Promise<T>}
 */
export async function withFileLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, "a");
  try {
    await runCommand(["flock", "--exclusive", "3"], { inherit: [fd] });
    return await work(fd);
  } finally {
    closeSync(fd);
  }
}
