import { guest, linux } from "./linux-workload.ts";
import type { WorkloadName } from "./pod-plan.ts";
import { wasm } from "./wasm-workload.ts";
import type { Workload } from "./workload.ts";

export const workloads: Readonly<Record<WorkloadName, Workload>> = { linux, wasm, guest };
