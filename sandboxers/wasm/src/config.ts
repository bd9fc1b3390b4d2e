import { quote } from "@kuasar/framework/identifier/identifier";
import { checkRuncConfig, RUNC_CONFIG_DEFAULTS, type RuncConfig } from "@kuasar/runc-sandboxer/config";
import { ENGINE_NAMES, type EngineName, isEngineName } from "./engine/wasm-engine.ts";

/** The sandboxer's own keys in its config file; runc's are for ordinary containers in a Wasm pod. */
export interface WasmConfig extends RuncConfig {
  /** Which engine runs modules whose pod and options do not say. */
  readonly engine: EngineName;
  /** Names or paths of the programs. */
  readonly wasmedge: string;
  readonly wasmtime: string;
  /** Whether modules are compiled ahead of time. */
  readonly compile: boolean;
  /** A module that takes longer to compile is run as it is. */
  readonly compile_timeout_seconds: number;
  /** How much room compiled modules may take. */
  readonly compiled_modules_mb: number;
  /** The gRPC socket of the containerd that is asked for modules of images, where a pod's shim does not say. */
  readonly containerd_address: string;
  /** Where a component that serves HTTP listens in its pod, unless the pod says otherwise. */
  readonly http_address: string;
}

export const WASM_CONFIG_DEFAULTS: WasmConfig = {
  ...RUNC_CONFIG_DEFAULTS,
  engine: "wasmtime",
  wasmedge: "wasmedge",
  wasmtime: "wasmtime",
  compile: true,
  compile_timeout_seconds: 60,
  compiled_modules_mb: 512,
  containerd_address: "/run/containerd/containerd.sock",
  http_address: "0.0.0.0:8080",
};

/** Throws an Error with the key, what was expected and what came. */
export function checkWasmConfig(config: WasmConfig): WasmConfig {
  checkRuncConfig(config);
  if (!isEngineName(config.engine)) {
    throw new Error(`engine is ${quote(config.engine)}, expected one of ${ENGINE_NAMES.join(", ")}`);
  }
  for (const key of ["compile_timeout_seconds", "compiled_modules_mb"] as const) {
    if (!Number.isInteger(config[key]) || config[key] < 1) {
      throw new Error(`${key} is ${config[key]}, expected a whole number from 1`);
    }
  }
  if (!config.containerd_address.startsWith("/")) {
    throw new Error(`containerd_address is ${quote(config.containerd_address)}, expected an absolute path`);
  }
  if (!isSocketAddress(config.http_address)) {
    throw new Error(`http_address is ${quote(config.http_address)}, expected ADDRESS:PORT`);
  }
  return config;
}

/** `127.0.0.1:80` or `[::]:80`. */
export function isSocketAddress(text: string): boolean {
  const [, host, port] = /^(\[[0-9a-fA-F:.]+\]|[0-9.]+):(\d{1,5})$/.exec(text) ?? [];
  return host !== undefined && Number(port) <= 0xffff;
}
