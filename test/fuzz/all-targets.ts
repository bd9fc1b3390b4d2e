import type { FuzzTarget } from "./fuzz-target.ts";
import { front } from "./targets/front.ts";
import { guestLink } from "./targets/guest-link.ts";
import { monitor } from "./targets/monitor.ts";
import { options } from "./targets/options.ts";
import { sandboxer } from "./targets/sandboxer.ts";
import { shimTasks } from "./targets/shim-tasks.ts";
import { shimWire } from "./targets/shim-wire.ts";
import { spec } from "./targets/spec.ts";
import { start } from "./targets/start.ts";
import { store } from "./targets/store.ts";
import { taskStates } from "./targets/task-states.ts";
import { ttrpcServer } from "./targets/ttrpc-server.ts";

export const allTargets: readonly FuzzTarget[] = [
  ttrpcServer,
  front,
  sandboxer,
  taskStates,
  options,
  spec,
  store,
  guestLink,
  start,
  shimTasks,
  shimWire,
  monitor,
];
