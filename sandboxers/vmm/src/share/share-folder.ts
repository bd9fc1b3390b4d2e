import { join } from "node:path";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";

/** The folder of the host that the pod's machine sees: a folder a container, made of mounts. */
export function shareFolder({ directory }: Sandbox): string {
  return join(directory, "share");
}
