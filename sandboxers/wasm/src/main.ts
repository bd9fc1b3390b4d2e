import { runSandboxer } from "@kuasar/framework/server/sandboxer-program";
import { checkWasmConfig, WASM_CONFIG_DEFAULTS } from "./config.ts";
import { VERSION } from "./version.ts";
import { createWasmSandboxer } from "./wasm-sandboxer.ts";

await runSandboxer({
  name: "wasm-sandboxer",
  version: VERSION,
  listen: "/run/wasm-sandboxer.sock",
  dir: "/run/kuasar-wasm",
  configDefaults: WASM_CONFIG_DEFAULTS,
  create: (config, log, dir) => createWasmSandboxer(checkWasmConfig(config), log, dir),
});
