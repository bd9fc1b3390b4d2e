import type { Part } from "../part.ts";
import { containerdInCall, containerdInStart } from "./containerd.ts";
import { runtime } from "./runtime.ts";
import { sandboxer } from "./sandboxer.ts";
import { shimDelete, shimServe, shimStart } from "./shim.ts";

export const parts: readonly Part[] = [
  shimStart,
  shimServe,
  shimDelete,
  sandboxer,
  containerdInStart,
  containerdInCall,
  runtime,
];
