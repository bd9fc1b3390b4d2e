import { runSandboxer } from "@kuasar/framework/server/sandboxer-program";
import { checkRuncConfig, RUNC_CONFIG_DEFAULTS } from "./config.ts";
import { createRuncSandboxer } from "./runc-sandboxer.ts";
import { VERSION } from "./version.ts";

await runSandboxer({
  name: "runc-sandboxer",
  version: VERSION,
  listen: "/run/runc-sandboxer.sock",
  dir: "/run/kuasar-runc",
  configDefaults: RUNC_CONFIG_DEFAULTS,
  create: (config, log) => createRuncSandboxer(checkRuncConfig(config), log),
});
