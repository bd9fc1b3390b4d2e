import type { Logger } from "@kuasar/framework/log/logger";
import { createPausePods } from "@kuasar/framework/pause/pause-pods";
import { goPlatform } from "@kuasar/framework/sandbox/platform";
import type { Sandboxer } from "@kuasar/framework/sandbox/sandboxer";
import type { RuncConfig } from "./config.ts";
import { parseRuncOptions } from "./options/parse-options.ts";
import { createRuntimeChoice } from "./runtime-choice.ts";
import { createRuncTasks } from "./task/runc-tasks.ts";

/** Pods as a pause process that holds their namespaces, containers by an OCI runtime. */
export function createRuncSandboxer(config: RuncConfig, log: Logger): Sandboxer {
  return {
    ...createPausePods(config.pause, log),
    kind: "runc",
    takesSignals: true,
    platform: goPlatform(),
    tasks: createRuncTasks(createRuntimeChoice(config)),

    parseOptions(options) {
      const parsed = parseRuncOptions(options);
      return parsed === undefined ? {} : { options: { ...parsed } };
    },
  };
}
