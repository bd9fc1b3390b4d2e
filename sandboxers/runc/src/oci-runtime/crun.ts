import type { Monitor } from "@kuasar/framework/monitor/monitor";
import { createRuntimeCommands } from "./command-line.ts";
import { isExecFifoThere } from "./exec-fifo.ts";
import type { OciRuntime } from "./oci-runtime.ts";

/** crun. It refuses a spec whose version it does not know, so it is asked which it knows. */
export function createCrun(binary: string): OciRuntime {
  const commands = createRuntimeCommands(binary);
  let known: Promise<string | undefined> | undefined;

  async function ask(monitor: Monitor): Promise<string | undefined> {
    return specVersionIn(await commands.version(monitor));
  }

  return {
    ...commands,

    isWaiting: ({ root, id }) => isExecFifoThere(root, id),

    async specVersion(monitor) {
      known ??= ask(monitor);
      try {
        return await known;
      } catch (error) {
        known = undefined;
        throw error;
      }
    },
  };
}

/** The line `spec: 1.0.0` of `crun --version`. */
export function specVersionIn(version: string): string | undefined {
  return /^spec: (\d+\.\d+\.\d+)/m.exec(version)?.[1];
}
