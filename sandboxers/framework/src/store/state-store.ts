import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { SandboxRecord } from "../sandbox/sandbox-record.ts";
import type { TaskRecord } from "../task/task-record.ts";
import { readSandboxRecord, readTaskRecord, StoreUnreadable } from "./read-record.ts";
import { appendRecord } from "./record-file.ts";

/** A sandbox's address in the store, and everywhere else: ids are unique within a containerd namespace. */
export interface SandboxName {
  readonly namespace: string;
  readonly id: string;
}

export interface StoredSandbox {
  readonly sandbox: SandboxRecord;
  readonly tasks: readonly TaskRecord[];
}

/**
 * The state that outlives the process: one folder a sandbox, `DIR/<namespace>/<id>/`. Every write is one step, and a
 * folder appears and disappears in one step too. Names with a leading dot, which no identifier has, are drafts.
 */
export interface StateStore {
  /** Throws StoreUnreadable, having changed nothing. */
  load(): StoredSandbox[];
  /** Removes what an interrupted write left behind. To be called once the whole store has been read. */
  sweep(): void;
  /** The folder of a sandbox; the sandboxer keeps the sandbox's own files there as well. */
  directory(name: SandboxName): string;
  addSandbox(record: SandboxRecord): void;
  saveSandbox(record: SandboxRecord): void;
  removeSandbox(name: SandboxName): void;
  saveTask(sandbox: SandboxName, record: TaskRecord): void;
  removeTask(sandbox: SandboxName, taskId: string): void;
}

const SANDBOX_FILE = "sandbox.json";
const TASKS = "tasks";
const FOLDER_MODE = 0o700;
/** Drafts, of what is being made and of what is being removed. Whatever else has a leading dot is not ours to remove. */
const NEW = ".new-";
const GONE = ".gone-";

export function createStateStore(root: string): StateStore {
  const directory = (name: SandboxName) => join(root, name.namespace, name.id);
  const taskFile = (name: SandboxName, taskId: string) => join(directory(name), TASKS, `${taskId}.json`);

  return {
    directory,

    load() {
      const found: StoredSandbox[] = [];
      for (const namespace of folders(root)) {
        for (const id of folders(join(root, namespace))) {
          found.push(loadSandbox(join(root, namespace, id), namespace, id));
        }
      }
      return found;
    },

    sweep() {
      mkdirSync(root, { recursive: true, mode: FOLDER_MODE });
      for (const namespace of folders(root)) {
        const folder = join(root, namespace);
        const drafts = readdirSync(folder).filter((name) => name.startsWith(NEW) || name.startsWith(GONE));
        for (const name of drafts) {
          removeTree(join(folder, name));
        }
        for (const name of folders(folder)) {
          sweepDrafts(join(folder, name));
          sweepDrafts(join(folder, name, TASKS));
        }
        // Left when the write was interrupted before its draft, or after it.
        if ((statSync(folder).mode & 0o777) === FOLDER_MODE) {
          removeIfEmpty(folder);
        }
      }
    },

    addSandbox(record) {
      const draft = join(root, record.namespace, `${NEW}${record.id}`);
      rmSync(draft, { recursive: true, force: true });
      try {
        mkdirSync(join(draft, TASKS), { recursive: true, mode: FOLDER_MODE });
        appendRecord(join(draft, SANDBOX_FILE), JSON.stringify(record));
        renameSync(draft, directory(record));
      } catch (error) {
        removeTree(draft);
        removeIfEmpty(join(root, record.namespace));
        throw error;
      }
    },

    saveSandbox(record) {
      appendRecord(join(directory(record), SANDBOX_FILE), JSON.stringify(record));
    },

    removeSandbox(name) {
      const grave = join(root, name.namespace, `${GONE}${name.id}`);
      try {
        renameSync(directory(name), grave);
      } catch {
        // Nothing of it was ever written, or it is gone already.
        return;
      }
      removeTree(grave);
      removeIfEmpty(join(root, name.namespace));
    },

    saveTask(sandbox, record) {
      appendRecord(taskFile(sandbox, record.id), JSON.stringify(record));
    },

    removeTask(sandbox, taskId) {
      rmSync(taskFile(sandbox, taskId), { force: true });
    },
  };
}

function loadSandbox(folder: string, namespace: string, id: string): StoredSandbox {
  const sandbox = readSandboxRecord(join(folder, SANDBOX_FILE), namespace, id);
  const tasks: TaskRecord[] = [];
  for (const name of files(join(folder, TASKS))) {
    const path = join(folder, TASKS, name);
    if (name.endsWith(".json")) {
      const task = readTaskRecord(path, name.slice(0, -".json".length));
      // One whose first version was cut off was never acted on.
      if (task) {
        tasks.push(task);
      }
    } else if (!name.endsWith(".tmp")) {
      throw new StoreUnreadable(path, "it is not a file of this store");
    }
  }
  return { sandbox, tasks };
}

// What is still busy (a mount that somebody else holds) is left to the next sweep: it is no longer part of the state.
function removeTree(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {}
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {}
}

function sweepDrafts(folder: string): void {
  for (const name of files(folder)) {
    if (name.endsWith(".tmp")) {
      rmSync(join(folder, name), { force: true });
    }
  }
}

function folders(path: string): string[] {
  return entries(path)
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name);
}

function files(path: string): string[] {
  return entries(path)
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

function entries(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return [];
    }
    throw new StoreUnreadable(path, (error as Error).message);
  }
}
