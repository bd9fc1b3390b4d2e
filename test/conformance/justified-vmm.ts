import type { Justification } from "./justified.ts";

/** Differences that come of a virtual machine around each container, and of crun in it. */
export const machineJustifications: readonly Justification[] = [
  {
    why: "Runc's options say how runc is run on the host; nothing of that is there in a virtual machine.",
    case: /^options: |^create: options /,
    step: /^/,
    ours: /^/,
  },
];
