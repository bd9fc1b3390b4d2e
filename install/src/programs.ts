import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { sourceDirectory } from "../parts.mjs";

export const shimProgram = "containerd-shim-kuasar-v2";

/** The folder with our programs: the checkout's dist/bin, or the one beside the installed bundle this code is in. */
export function programDirectory(): string {
  const sources = sourceDirectory();
  return sources ? join(sources, "dist", "bin") : join(dirname(fileURLToPath(import.meta.url)), "..", "bin");
}

/** @throws where the program has not been built. */
export function programPath(name: string): string {
  const path = join(programDirectory(), name);
  if (!existsSync(path)) throw new Error(`${path} is not there; build it with: npm run build`);
  return path;
}
