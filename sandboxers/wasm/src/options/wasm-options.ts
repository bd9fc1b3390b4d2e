import { invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { TypedBytes } from "@kuasar/framework/sandbox/typed-bytes";
import { parseRuncOptions } from "@kuasar/runc-sandboxer/options/parse-options";
import type { RuncOptions } from "@kuasar/runc-sandboxer/options/runc-options";
import { ENGINE_NAMES, type EngineName, isEngineName } from "../engine/wasm-engine.ts";

export interface WasmOptions {
  /** Which engine runs the modules; undefined for the one in the sandboxer's config. */
  readonly engine?: EngineName;
  /** For ordinary containers. */
  readonly runc: RuncOptions;
}

/** Undefined if there are none. INVALID_ARGUMENT, with what was expected and what came. */
export function parseWasmOptions(any: TypedBytes | undefined): WasmOptions | undefined {
  let engine: EngineName | undefined;
  const runc = parseRuncOptions(any, (key, value, where) => {
    if (key.toLowerCase() !== "engine") {
      return false;
    }
    engine = engineNamed(value, `${where}: engine`);
    return true;
  });
  return runc && { runc, ...(engine && { engine }) };
}

/** `what` names where the name was found, in errors. */
export function engineNamed(name: unknown, what: string): EngineName {
  if (!isEngineName(name)) {
    throw invalidArgument(`${what} is ${quote(String(name))}, expected one of ${ENGINE_NAMES.join(", ")}`);
  }
  return name;
}
