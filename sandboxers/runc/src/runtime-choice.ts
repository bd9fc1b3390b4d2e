import { basename } from "node:path";
import type { RuncConfig } from "./config.ts";
import { createCrun } from "./oci-runtime/crun.ts";
import type { OciRuntime } from "./oci-runtime/oci-runtime.ts";
import { createRunc } from "./oci-runtime/runc.ts";
import type { RuncOptions } from "./options/runc-options.ts";

/** The OCI runtime that a container's options ask for. */
export interface RuntimeChoice {
  /** The program's name or path. */
  binaryOf(options: RuncOptions): string;
  /** One for each program, whatever the containers. */
  runtime(binary: string): OciRuntime;
}

export function createRuntimeChoice(config: RuncConfig): RuntimeChoice {
  const runtimes = new Map<string, OciRuntime>();
  return {
    binaryOf({ binaryName, runtime }) {
      return binaryName === "" ? config[runtime === "" ? config.runtime : (runtime as "runc" | "crun")] : binaryName;
    },

    runtime(binary) {
      let runtime = runtimes.get(binary);
      if (runtime === undefined) {
        const isCrun = binary === config.crun || basename(binary) === "crun";
        runtime = isCrun ? createCrun(binary) : createRunc(binary);
        runtimes.set(binary, runtime);
      }
      return runtime;
    },
  };
}
