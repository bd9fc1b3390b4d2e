import { createRuntimeCommands } from "./command-line.ts";
import { isExecFifoThere, releaseExecFifo } from "./exec-fifo.ts";
import type { OciRuntime } from "./oci-runtime.ts";
import { removeStateFolder } from "./state-folder.ts";

/** runc, and whatever behaves like it. Its plain `start` and `delete`, a process of several ms each, are done without. */
export function createRunc(binary: string): OciRuntime {
  const commands = createRuntimeCommands(binary);
  return {
    ...commands,

    async start(container, timeoutMs) {
      if (container.hooksAtStart || !(await releaseExecFifo(container.root, container.id))) {
        // runc knows why it cannot be started, and says so.
        await commands.start(container, timeoutMs);
      }
    },

    async delete(container, force) {
      if (force || !(await removeStateFolder(container))) {
        await commands.delete(container, force);
      }
    },

    isWaiting: ({ root, id }) => isExecFifoThere(root, id),

    specVersion: async () => undefined,
  };
}
