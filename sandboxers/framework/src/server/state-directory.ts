import { lstatSync } from "node:fs";
import { join } from "node:path";
import { isServed, listenOnUnixSocket } from "./unix-listener.ts";

/** Whoever listens here owns the folder; the kernel lets go of it when the process ends, however that is. */
const LOCK = ".lock";
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Throws unless this process may keep its state in the folder: it is nobody else's to write to, since what is stored
 * there is acted on as root, and no other sandboxer uses it. Changes nothing.
 */
export async function checkStateDirectory(directory: string): Promise<void> {
  const stats = lstatSync(directory, { throwIfNoEntry: false });
  if (stats === undefined) {
    return;
  }
  if (!stats.isDirectory()) {
    throw new Error(`the state directory ${directory} is not a directory`);
  }
  const own = process.geteuid?.() ?? 0;
  if (stats.uid !== own) {
    throw new Error(`the state directory ${directory} belongs to uid ${stats.uid}, expected ${own}`);
  }
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, "0");
    throw new Error(`the state directory ${directory} has mode ${mode}: expected nobody but its owner to write there`);
  }
  if (await isServed(join(directory, LOCK))) {
    throw new Error(`the state directory ${directory} is in use by another sandboxer: give each its own --dir`);
  }
}

/** Makes the folder this process's own for as long as it lives. */
export async function claimStateDirectory(directory: string): Promise<void> {
  const listener = await listenOnUnixSocket(join(directory, LOCK), (socket) => socket.destroy());
  listener.unref();
}
