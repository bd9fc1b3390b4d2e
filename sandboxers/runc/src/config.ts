import { quote } from "@kuasar/framework/identifier/identifier";

/** The sandboxer's own keys in its config file. */
export interface RuncConfig {
  /** "runc" or "crun": which of the two runs containers whose options do not say. */
  readonly runtime: "runc" | "crun";
  /** Names or paths of the programs. */
  readonly runc: string;
  readonly crun: string;
  /** A static program that, called with -P, does nothing but reap: catatonit. */
  readonly pause: string;
}

export const RUNC_CONFIG_DEFAULTS: RuncConfig = { runtime: "runc", runc: "runc", crun: "crun", pause: "catatonit" };

/** Throws an Error with the key, what was expected and what came. */
export function checkRuncConfig(config: RuncConfig): RuncConfig {
  if (config.runtime !== "runc" && config.runtime !== "crun") {
    throw new Error(`runtime is ${quote(config.runtime)}, expected "runc" or "crun"`);
  }
  return config;
}
