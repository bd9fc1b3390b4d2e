import { dirname, join } from "node:path";
import { runSandboxer } from "@kuasar/framework/server/sandboxer-program";
import { checkVmmConfig, VMM_CONFIG_DEFAULTS } from "./config.ts";
import { guestImageIn, installedGuestFolder } from "./machine/guest-image.ts";
import { VERSION } from "./version.ts";
import { createVmmSandboxer } from "./vmm-sandboxer.ts";

const guest = installedGuestFolder(process.argv[1] ?? "/");
const programs = join(dirname(process.argv[1] ?? "/"), "..", "bin");

await runSandboxer({
  name: "vmm-sandboxer",
  version: VERSION,
  listen: "/run/vmm-sandboxer.sock",
  dir: "/run/kuasar-vmm",
  configDefaults: {
    ...VMM_CONFIG_DEFAULTS,
    hypervisor: { ...VMM_CONFIG_DEFAULTS.hypervisor, ...(guest && guestImageIn(guest)) },
  },
  logLevel: ({ sandbox }) => sandbox.log_level,
  create: (config, log, dir) => createVmmSandboxer(checkVmmConfig(config), join(programs, "vmm-task"), log, dir),
});
