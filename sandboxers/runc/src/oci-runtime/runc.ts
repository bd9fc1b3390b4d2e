import { createRuntimeCommands } from "./command-line.ts";
import { isExecFifoThere, releaseExecFifo } from "./exec-fifo.ts";
import type { OciRuntime } from "./oci-runtime.ts";

/** runc, and whatever behaves like it. Its `start`, a process of several milliseconds, is done without it. */
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

    isWaiting: ({ root, id }) => isExecFifoThere(root, id),

    specVersion: async () => undefined,
  };
}
