import type { FuzzTarget } from "./fuzz-target.ts";
import { monitor } from "./targets/monitor.ts";
import { sandboxer } from "./targets/sandboxer.ts";
import { shimTasks } from "./targets/shim-tasks.ts";
import { ttrpcServer } from "./targets/ttrpc-server.ts";

export const allTargets: readonly FuzzTarget[] = [ttrpcServer, sandboxer, shimTasks, monitor];
