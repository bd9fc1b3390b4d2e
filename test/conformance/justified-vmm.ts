import type { Justification } from "./justified.ts";

/** Differences that come of a virtual machine around each container. */
export const machineJustifications: readonly Justification[] = [];
