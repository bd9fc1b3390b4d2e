import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errno } from "@kuasar/framework/error/sandbox-error";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";

/** Where images of root file systems, and what containers write to theirs, lie on the host: not in memory, if it can be. */
export interface StorageFolders {
  readonly images: string;
  /** Of a container's own files: made, and empty. */
  make(sandbox: Sandbox, task: Task): string;
  remove(sandbox: Sandbox, task: Task): void;
  removeAll(sandbox: Sandbox): void;
  /** Removes what is of no sandbox any more: the state folder may be in memory, and gone with the host's last start. */
  tidy(): void;
}

/**
 * @param base a folder of this sandboxer alone; "" for one in its state folder
 * @param state the state folder, which has a folder a sandbox
 */
export function createStorageFolders(base: string, state: string): StorageFolders {
  // A name with a leading dot is no namespace.
  const top = base === "" ? join(state, ".storage") : base;
  const containers = join(top, "containers");
  const ofSandbox = ({ record: { namespace, id } }: Sandbox) => join(containers, namespace, id);
  const ofTask = (sandbox: Sandbox, task: Task) => join(ofSandbox(sandbox), task.id);
  const remove = (path: string) => rmSync(path, { recursive: true, force: true });

  return {
    images: join(top, "images"),

    make(sandbox, task) {
      const folder = ofTask(sandbox, task);
      remove(folder);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      return folder;
    },

    remove: (sandbox, task) => remove(ofTask(sandbox, task)),

    removeAll(sandbox) {
      remove(ofSandbox(sandbox));
      for (const path of [join(containers, sandbox.record.namespace), containers]) removeIfEmpty(path);
    },

    tidy() {
      for (const namespace of namesIn(containers)) {
        for (const id of namesIn(join(containers, namespace))) {
          if (!existsSync(join(state, namespace, id))) remove(join(containers, namespace, id));
        }
        removeIfEmpty(join(containers, namespace));
      }
    },
  };
}

const namesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []);

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Others are in it, or it has gone with another sandbox.
    if (!["ENOTEMPTY", "ENOENT"].includes(errno(error) ?? "")) throw error;
  }
}
