import type { ConformanceCase } from "../conformance-case.ts";
import { checkpointCases } from "./checkpoint.ts";
import { controlCases } from "./control.ts";
import { createCases } from "./create.ts";
import { execCases } from "./exec.ts";
import { exitCases } from "./exit.ts";
import { killCases } from "./kill.ts";
import { logUriCases } from "./log-uri.ts";
import { mountCases } from "./mounts.ts";
import { optionsCases } from "./options.ts";
import { orderCases } from "./orders.ts";
import { startCases } from "./start.ts";
import { stdioCases } from "./stdio.ts";
import { stdioVolumeCases } from "./stdio-volume.ts";

export const allCases: readonly ConformanceCase[] = [
  ...createCases,
  ...optionsCases,
  ...mountCases,
  ...startCases,
  ...killCases,
  ...execCases,
  ...exitCases,
  ...controlCases,
  ...orderCases,
  ...checkpointCases,
  ...stdioCases,
  ...stdioVolumeCases,
  ...logUriCases,
];
